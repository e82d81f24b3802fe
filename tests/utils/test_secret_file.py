from __future__ import annotations

from pathlib import Path

import pytest

from ggcam.errors import ConfigError
from ggcam.utils.secret_file import is_token, read_secret


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b" word \n", "word"),
        ("user:pässword".encode(), "user:pässword"),
        (b"", ""),
        (b"\n\n", ""),
        (b"one\ntwo", ""),
        (b"\xff\xfe", ""),
    ],
)
def test_the_only_line_of_a_file(tmp_path: Path, content: bytes, line: str):
    path = tmp_path / "secret"
    path.write_bytes(content)
    assert read_secret(path, "--token-file") == line


@pytest.mark.parametrize(("name", "reason"), [("absent", "No such file"), (".", "Is a directory")])
def test_what_cannot_be_read_is_named(tmp_path: Path, name: str, reason: str):
    with pytest.raises(ConfigError, match=reason) as caught:
        read_secret(tmp_path / name, "--token-file")
    assert f"--token-file {tmp_path / name}" in str(caught.value)


@pytest.mark.parametrize(
    ("line", "expected"), [("abc-123", True), ("", False), ("two words", False), ("tökén", False), ("a\tb", False)]
)
def test_what_can_be_sent_as_a_token(line: str, expected: bool):
    assert is_token(line) is expected
