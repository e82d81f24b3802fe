"""The command line: the commands, and what becomes of their errors."""

from __future__ import annotations

import logging
import os
import sys
import traceback
from collections.abc import Sequence
from functools import partial
from typing import NoReturn

import tyro

from ggcam.commands.demo import demo
from ggcam.commands.export import export
from ggcam.commands.inspect import inspect
from ggcam.commands.predict import predict
from ggcam.commands.prepare import prepare
from ggcam.commands.report import report
from ggcam.commands.simulate import simulate
from ggcam.commands.study import study
from ggcam.commands.train import evaluate, train
from ggcam.errors import GGCamError
from ggcam.training.presets import preset_in

DESCRIPTION = (
    "Gaze-guided class activation mapping: image classifiers that look where radiologists looked. For research use."
)

COMMANDS = (simulate, prepare, inspect, train, evaluate, predict, study, report, export, demo)


def command_line(arguments: Sequence[str]) -> tyro.extras.SubcommandApp:
    """The commands. What `train` does by default depends on the preset that it is given."""
    app = tyro.extras.SubcommandApp()
    for command in COMMANDS:
        chosen = partial(train, config=preset_in(arguments)) if command is train else command
        app.command(name=command.__name__)(chosen)
    return app


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point: exit code 0 on success, 2 on a user's mistake, 1 on a fault."""
    given = sys.argv[1:] if arguments is None else arguments
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s")
    try:
        command_line(given).cli(prog="ggcam", description=DESCRIPTION, args=given)
    except GGCamError as error:
        print(f"ggcam: {error}", file=sys.stderr)
        sys.exit(2)
    except BrokenPipeError:  # whoever read the output, such as `head`, has had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:
        if error.filename is None:
            _fault()
        print(f"ggcam: {error.strerror}\n  where: {error.filename}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("ggcam: interrupted", file=sys.stderr)
        sys.exit(130)
    except Exception:
        _fault()


def _fault() -> NoReturn:
    """Say that the error in hand is none of the user's."""
    traceback.print_exc()
    print("ggcam: this is a fault of the program; please report it with the lines above", file=sys.stderr)
    sys.exit(1)
