"""How options read in the help, and how optional values and numbers are parsed."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
import tyro
from tyro.conf import OmitArgPrefixes, Positional, arg

from ggcam.commands.option_help import option_registry


@dataclass(frozen=True)
class Inner:
    """Options of a nested group.

    Attributes:
        angle: an angle.
    """

    angle: float = 0.0


@dataclass(frozen=True)
class Options:
    """Some options.

    Attributes:
        limit: a limit in hours. Default: no limit.
        size: a size in pixels.
        reduction: how to combine. Default: chosen by the network.
        fast: whether to be fast.
        corners: two numbers. Default: the whole image.
        inner: a nested group.
    """

    limit: float | None = None
    size: int = 8
    reduction: Literal["sum", "mean"] | None = None
    fast: bool = False
    corners: tuple[int, int] | None = None
    inner: Inner = field(default_factory=Inner)


def command(
    data: Positional[Annotated[Path, arg(metavar="DATA")]],
    options: OmitArgPrefixes[Annotated[Options, arg(name="")]] = Options(),
    device: str | None = None,
    names: str = "",
) -> tuple[Path, Options, str | None, str]:
    """Do something.

    Args:
        data: prepared folder.
        options: the options.
        device: where to compute. Default: a GPU if there is one.
        names: names.
    """
    return data, options, device, names


for each in (Inner, Options, command):
    each.__module__ = (
        "ggcam.example"  # the rules apply to functions and dataclasses of ggcam; no postponed annotations here
    )

GROUPS = {Options: {"model": ("size", "reduction"), "rotation": ("inner",)}}


def run(*arguments: str) -> Any:
    return tyro.cli(command, args=arguments, registry=option_registry(GROUPS))


@pytest.fixture
def help_lines(capsys, monkeypatch) -> dict[str, str]:
    """Option -> its help, on one line."""
    monkeypatch.setenv("COLUMNS", "300")
    with pytest.raises(SystemExit):
        run("--help")
    found: dict[str, str] = {}
    for line in capsys.readouterr().out.splitlines():
        words = line.strip("│ ").split()
        if words and words[0].startswith("--"):
            found[words[0].rstrip(",")] = " ".join(words[1:])
    return found


def test_defaults_are_shown_in_words(help_lines):
    assert help_lines["--limit"] == "FLOAT a limit in hours. (default: no limit)"
    assert help_lines["--size"] == "INT a size in pixels. (default: 8)"
    assert help_lines["--reduction"] == "{sum,mean} how to combine. (default: chosen by the network)"
    assert help_lines["--fast"].endswith("whether to be fast. (default: off)")
    assert help_lines["--corners"] == "INT INT two numbers. (default: the whole image)"
    assert help_lines["--device"] == "STR where to compute. (default: a GPU if there is one)"
    assert help_lines["--names"] == "STR names. (optional)"
    assert "None" not in str(help_lines)


def test_groups_have_titles(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    with pytest.raises(SystemExit):
        run("--help")
    text = capsys.readouterr().out
    order = [text.index(words) for words in ("--limit", "model options", "--size", "rotation options", "--angle")]
    assert order == sorted(order)


def test_values_reach_the_function_as_given():
    data, options, device, names = run(
        *("DATA", "--limit", "2.5", "--reduction", "mean", "--corners", "1", "2", "--angle", "5", "--fast"),
        *("--device", "cpu", "--names", "a,b"),
    )
    assert (data, device, names) == (Path("DATA"), "cpu", "a,b")
    assert options == Options(2.5, 8, "mean", True, (1, 2), Inner(5.0))
    assert run("DATA") == (Path("DATA"), Options(), None, "")


@pytest.mark.parametrize("word", ["none", "None"])
def test_none_takes_an_optional_value_back(word, capsys, monkeypatch):
    preset = Options(limit=2.0, reduction="sum", corners=(1, 2))

    def with_preset(options: OmitArgPrefixes[Annotated[Options, arg(name="")]] = preset) -> Options:
        """Do something."""
        return options

    with_preset.__module__ = "ggcam.example"
    registry = option_registry({})
    given = ("--limit", word, "--reduction", word, "--corners", word)
    assert tyro.cli(with_preset, args=given, registry=registry) == Options()
    monkeypatch.setenv("COLUMNS", "200")
    with pytest.raises(SystemExit):
        tyro.cli(with_preset, args=("--help",), registry=registry)
    assert "(default: 2.0; none: no limit)" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--size", "many"), "'many' is not a whole number"),
        (("--size", "1.5"), "'1.5' is not a whole number"),
        (("--limit", "long"), "'long' is not a number"),
        (("--reduction", "max"), "mean"),
        (("--corners", "1"), "--corners"),
    ],
)
def test_a_wrong_value_is_refused_in_words(capsys, arguments, message):
    with pytest.raises(SystemExit) as stop:
        run("DATA", *arguments)
    assert stop.value.code == 2
    assert message in " ".join(capsys.readouterr().err.split())
