"""Write the reference of the command line: the help of every command, as the program itself prints it."""

from __future__ import annotations

import contextlib
import io
import os
import re
from pathlib import Path
from unittest import mock

from ggcam import cli
from ggcam.data.sources import READERS, command_line_name

WIDTH = 100
HEAD = """# Commands

Every command, with the help that `ggcam COMMAND --help` prints. The exit code is 0 on success, 2 on a mistake in the
input (the message says what, where, what was expected, what was found, and how to fix it), and 1 on a fault of the
program.
"""


def help_text(*arguments: str) -> str:
    """Return what `ggcam ARGUMENTS --help` prints, without colours, in lines of at most 100 characters."""
    output = io.StringIO()
    plain = {"COLUMNS": str(WIDTH), "NO_COLOR": "1", "TERM": "dumb"}
    with mock.patch.dict(os.environ, plain), contextlib.redirect_stdout(output), contextlib.suppress(SystemExit):
        cli.main([*arguments, "--help"])
    text = re.sub(r"\x1b\[[0-9;]*m", "", output.getvalue())
    return "\n".join(line.rstrip() for line in text.strip().splitlines())


def command_reference() -> str:
    """Return the page as Markdown."""
    pages = [HEAD, f"```text\n{help_text()}\n```\n"]
    for command in cli.COMMANDS:
        name = command.__name__
        pages.append(f"## ggcam {name}\n\n```text\n{help_text(name)}\n```\n")
        if name == "prepare":
            pages += map(source_section, map(command_line_name, READERS))
    return "\n".join(pages)


def source_section(source: str) -> str:
    """Return the section with the options that one source adds to those of `ggcam prepare`."""
    own = re.split(r"^.*options of the source\.\n.*\n", help_text("prepare", source), flags=re.MULTILINE)[1]
    return (
        f"### ggcam prepare {source}\n\nFurther options of `ggcam prepare {source} RAW OUT`:\n\n```text\n{own}\n```\n"
    )


def write_command_reference(path: Path) -> None:
    """Write the page where it has changed, so that Sphinx rebuilds it only then."""
    text = command_reference()
    if not path.is_file() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")
