from __future__ import annotations

import base64
from pathlib import Path

import pytest
import requests

from ggcam.dicomweb.credentials import CredentialsFile, NoCredentials
from ggcam.errors import ConfigError


def sent(auth: requests.auth.AuthBase) -> str | None:
    session = requests.Session()
    session.auth = auth
    return session.prepare_request(requests.Request("GET", "http://pacs.example/")).headers.get("Authorization")


def test_a_user_is_sent_as_utf_8(tmp_path):
    path = tmp_path / "user"
    path.write_text("jürgen:pass:wörd\n", encoding="utf-8")
    header = sent(CredentialsFile(path, "user"))
    assert header is not None
    assert base64.b64decode(header.removeprefix("Basic ")).decode() == "jürgen:pass:wörd"


def test_a_token_that_was_replaced_is_used(tmp_path):
    path = tmp_path / "token"
    path.write_text("first\n")
    auth = CredentialsFile(path, "token")
    assert sent(auth) == "Bearer first"
    path.write_text("second")
    assert sent(auth) == "Bearer second"


def test_the_netrc_of_the_home_folder_is_not_used(tmp_path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "netrc").write_text("machine pacs.example login a password b\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    assert sent(requests.Session().auth) is not None  # pyright: ignore[reportArgumentType]
    assert sent(NoCredentials()) is None


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        ("user", b""),
        ("user", b"no colon"),
        ("user", b"a:b\nc:d"),
        ("user", b"\xff:\xfe"),
        ("token", b"two words"),
        ("token", b"a\nb"),
        ("token", "tökén".encode()),
    ],
)
def test_other_files_are_refused_without_showing_them(tmp_path, kind, content):
    path = tmp_path / "credentials"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match="not a file of credentials") as caught:
        CredentialsFile(path, kind)
    assert "words" not in str(caught.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"--dicomweb-token-file .*absent"):
        CredentialsFile(Path(tmp_path / "absent"), "token")
