"""The command line: the table of commands, and how their errors are reported."""

from __future__ import annotations

import logging
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from difflib import get_close_matches
from functools import partial
from io import TextIOWrapper
from typing import NoReturn

import tyro

from ggcam.commands.backbones import backbones
from ggcam.commands.demo import demo
from ggcam.commands.dicomweb_options import DICOMWEB_GROUPS, DicomwebOptions
from ggcam.commands.evaluate import evaluate
from ggcam.commands.export import export
from ggcam.commands.guidances import guidances
from ggcam.commands.inspect import inspect
from ggcam.commands.option_help import option_registry
from ggcam.commands.predict import predict
from ggcam.commands.prepare import prepare, run_prepare
from ggcam.commands.report import report
from ggcam.commands.serve import serve
from ggcam.commands.simulate import simulate
from ggcam.commands.study import study
from ggcam.commands.system_errors import describe_system_error, how_to_go_on
from ggcam.commands.train import train
from ggcam.commands.train_options import OPTION_GROUPS
from ggcam.commands.verify import verify
from ggcam.errors import ConfigError, GGCamError
from ggcam.training.presets import preset_in
from ggcam.utils.aliases import canonical_arguments
from ggcam.utils.logs import repeated_warnings_counted
from ggcam.utils.printable import printable
from ggcam.utils.signals import Terminated, sigterm_raises

DESCRIPTION = (
    "Gaze-guided class activation mapping: image classifiers that look where radiologists looked. For research use; "
    "not a medical device.\n\n`ggcam COMMAND --help` explains a command."
)

COMMANDS: tuple[Callable[..., None], ...] = (
    simulate,
    prepare,
    inspect,
    train,
    evaluate,
    predict,
    study,
    report,
    export,
    verify,
    serve,
    backbones,
    guidances,
    demo,
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command.

    The exit code is 0 on success, 2 on a user's mistake, 1 on a fault of the program, 130 after Ctrl-C and 143 after
    SIGTERM.

    Args:
        arguments: the words after `ggcam`. Default: those of this process.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal may not have every character of a name
    given = canonical_arguments(sys.argv[1:] if arguments is None else arguments)
    handler = logging.StreamHandler()
    handler.setFormatter(_PrintableFormatter("%(levelname)s: %(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    try:
        with sigterm_raises(), repeated_warnings_counted():
            _run(given)
    except GGCamError as error:
        print(printable(f"ggcam: {error}"), file=sys.stderr)
        sys.exit(2)
    except BrokenPipeError:  # the reader of the output, such as `head`, has closed the pipe
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except (KeyboardInterrupt, Terminated) as error:
        hint = how_to_go_on(error)
        print(f"ggcam: interrupted; {hint}", file=sys.stderr)
        sys.exit(130 if isinstance(error, KeyboardInterrupt) else error.code)
    except Exception as error:
        message = describe_system_error(error)
        if message is None:
            _fault()
        print(printable(f"ggcam: {message}"), file=sys.stderr)
        sys.exit(2)


class _PrintableFormatter(logging.Formatter):
    """Formats records without the escape sequences that names of files and classes may have."""

    def format(self, record: logging.LogRecord) -> str:
        return printable(super().format(record))


def _run(arguments: Sequence[str]) -> None:
    """Parse the arguments and call the command that they name."""
    commands = {command.__name__: command for command in COMMANDS}
    name = next(iter(arguments), "--help")
    if name in commands:
        registry = option_registry({**OPTION_GROUPS, DicomwebOptions: DICOMWEB_GROUPS})
        if name == "prepare":  # its options depend on the source
            run_prepare(arguments[1:], registry)
            return
        command = partial(train, config=preset_in(arguments)) if name == "train" else commands[name]
        tyro.cli(command, prog=f"ggcam {name}", args=arguments[1:], registry=registry)
        return
    if not name.startswith("-"):
        close = get_close_matches(name, commands, n=1)
        raise ConfigError(
            f"unknown command {name!r}",
            expected=f"one of {', '.join(commands)}",
            hint=f"ggcam {close[0]}" if close else "ggcam --help",
        )
    app = tyro.extras.SubcommandApp()
    for name, command in commands.items():
        app.command(name=name, help=(command.__doc__ or "").partition("\n")[0])(command)
    app.cli(prog="ggcam", description=DESCRIPTION, args=arguments)


def _fault() -> NoReturn:
    """Report the exception in hand as a fault of the program."""
    traceback.print_exc()
    print("ggcam: this is a fault of the program; please report it with the lines above", file=sys.stderr)
    sys.exit(1)
