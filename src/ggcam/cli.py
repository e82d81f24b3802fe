"""The command line: the commands, and what becomes of their errors."""

from __future__ import annotations

import logging
import os
import sys
import traceback
from collections.abc import Sequence
from typing import NoReturn

import tyro

from ggcam.commands.demo import demo
from ggcam.commands.inspect import inspect
from ggcam.commands.predict import predict
from ggcam.commands.prepare import prepare
from ggcam.commands.report import report
from ggcam.commands.simulate import simulate
from ggcam.commands.train import evaluate, train
from ggcam.errors import GGCamError

DESCRIPTION = (
    "Gaze-guided class activation mapping: image classifiers that look where radiologists looked. For research use."
)

COMMANDS = (simulate, prepare, inspect, train, evaluate, predict, report, demo)

app = tyro.extras.SubcommandApp()
for command in COMMANDS:
    app.command(command)


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point: exit code 0 on success, 2 on a user's mistake, 1 on a fault."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s")
    try:
        app.cli(prog="ggcam", description=DESCRIPTION, args=arguments)
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
