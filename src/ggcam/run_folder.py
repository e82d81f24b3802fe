"""The run folder: where each file lies, and what stands in it before training. No model is needed to read it."""

from __future__ import annotations

import json
import os
import platform
import secrets
import string
import time
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ggcam.errors import MissingFileError, PreparedFolderError, RunFolderError
from ggcam.utils import toml
from ggcam.utils.atomic import atomic_write
from ggcam.utils.versions import versions

if TYPE_CHECKING:
    from ggcam.data.prepared import PreparedData


PROBABILITY, LOGIT = "probability_", "logit_"
"""What the columns of predictions.parquet begin with that have each class's probability and logit."""


def predicted_classes(columns: Iterable[object]) -> tuple[str, ...]:
    """The classes that have a probability among the columns of predictions.parquet, in order."""
    return tuple(str(name).removeprefix(PROBABILITY) for name in columns if str(name).startswith(PROBABILITY))


@dataclass(frozen=True)
class RunFolder:
    """Paths in a run folder, and its settings.

    Attributes:
        root: `.../<ID>`.
        results: `<Net>_<type>_<XXXXX>` inside it.
    """

    root: Path
    results: Path

    @property
    def weights(self) -> Path:
        """Parameters of the best network. It is written last: its presence says that training has finished."""
        return self.results / "NET.pt"

    @property
    def onnx(self) -> Path:
        """The same network as ONNX, once an engine has needed it."""
        return self.results / "NET.onnx"

    @property
    def classification_report(self) -> Path:
        """Metrics with the names of the original GG-CAM."""
        return self.results / "classification_report.json"

    @property
    def results_csv(self) -> Path:
        """The network's output for each image, in the original's columns."""
        return self.results / "classification_results.csv"

    @property
    def training_plot(self) -> Path:
        """Picture of the learning rate, the losses and the validation metric."""
        return self.results / "training_process.png"

    @property
    def checkpoints(self) -> Path:
        """Folder of `last.ckpt` and `best.ckpt`."""
        return self.root / "checkpoints"

    @property
    def last_checkpoint(self) -> Path:
        """State of the training after its last whole epoch."""
        return self.checkpoints / "last.ckpt"

    @property
    def history(self) -> Path:
        """A row an epoch."""
        return self.root / "history.csv"

    @property
    def metrics(self) -> Path:
        """Every metric, with its interval."""
        return self.root / "metrics.json"

    @property
    def predictions(self) -> Path:
        """A row an evaluated case."""
        return self.root / "predictions.parquet"

    @property
    def case_metrics(self) -> Path:
        """A row an evaluated case, or each label that one has; a column each metric that is a mean over these."""
        return self.root / "case_metrics.parquet"

    @property
    def cams(self) -> Path:
        """Arrays `case_id` (n,) and `cam` (n, k, h, w) of the evaluated cases."""
        return self.root / "cams.npz"

    @property
    def html_report(self) -> Path:
        """The report, to open in a browser."""
        return self.root / "report.html"

    @cached_property
    def settings(self) -> Mapping[str, Any]:
        """Content of config.toml: data (path of the prepared folder), results, and the table train."""
        return _settings(self.root)

    @property
    def data_root(self) -> Path:
        """The prepared folder that the run was trained on."""
        return Path(self.settings["data"])

    @cached_property
    def description(self) -> Mapping[str, Any]:
        """Content of params_<Net>_.txt: all about the network but its weights."""
        found = sorted(path for path in self.root.glob("params_*_.txt") if path.name != "params_NetLearn_.txt")
        if not found:
            raise RunFolderError("the description of the network is missing", where=self.root / "params_<Net>_.txt")
        return read_json(found[0])


def create_run_folder(
    parent: Path, name: str | None, settings: Mapping[str, Any], description: Mapping[str, Any]
) -> RunFolder:
    """Make `parent/<ID>` with all that is known before training.

    Args:
        parent: where runs are kept.
        name: the ID; five random letters and digits when None.
        settings: for config.toml: `data` and the table `train`.
        description: of the network, with its `net` (class) and `type`, which become part of file names; `results`
            stands for `net` in the name of the results' folder where the two differ, as with the original's networks.

    Raises:
        RunFolderError: there is something under that name, or it is no name.
    """
    root = parent / (name or random_code())
    if name is not None and (name in ("", "..") or Path(name).name != name):
        raise RunFolderError("this is no name for a folder", where="--name", got=repr(name))
    if root.exists() and (not root.is_dir() or any(root.iterdir())):
        raise RunFolderError(
            "there is something under this name already",
            where=root,
            hint="choose another --name; or --resume it, if it is an unfinished run",
        )
    net, kind = str(description["net"]), str(description["type"]).replace("/", "_")
    run = RunFolder(root, root / f"{description.get('results', net)}_{kind}_{random_code()}")
    run.results.mkdir(parents=True)
    run.checkpoints.mkdir()
    content = plain({"results": run.results.name, **settings})
    write_json(root / "params_NetLearn_.txt", content["train"])
    write_json(root / f"params_{net}_.txt", plain(description))
    atomic_write(root / "config.toml", toml.dumps(content))  # the last of the three: who finds it finds the others
    return run


def open_run_folder(root: Path) -> RunFolder:
    """Find the parts of a run folder.

    Raises:
        RunFolderError: it is not one, or was interrupted before training began.
    """
    if not root.is_dir():
        raise RunFolderError("there is no such run folder", where=root, expected="a folder that `ggcam train` wrote")
    return RunFolder(root, root / str(_settings(root)["results"]))


def data_of(run: RunFolder, root: Path | None = None) -> PreparedData:
    """The prepared folder that a run was trained on; or another one, on which it was evaluated.

    Raises:
        PreparedFolderError: it is not where it was, or damaged.
    """
    from ggcam.data.prepared import load_prepared  # brings pandas, for which the mere help of a command shall not wait

    root = root or run.data_root
    if not root.exists():
        raise PreparedFolderError(
            "the run's data are not where they were",
            where=root,
            hint=f"put them back, or say where they are: ggcam evaluate {run.root} --data DATA",
        )
    return load_prepared(root)


def random_code() -> str:
    """Five letters and digits, from the system's randomness: two runs with one seed get different names."""
    return "".join(secrets.choice(string.ascii_uppercase + string.digits) for _ in range(5))


def write_summary(run: RunFolder, elapsed_s: float, device: str) -> None:
    """`QuickHelper_summary.txt`: id, folder, time, machine, versions."""
    lines = {
        "id": run.root.name,
        "folder": f"{run.root.name}/{run.results.name}",
        "finished": time.strftime("%Y-%m-%d %H:%M:%S"),
        "elapsed_s": f"{elapsed_s:.1f}",
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        "device": device,
        "python": platform.python_version(),
        **versions("ggcam", "torch", "torchvision", "timm", "lightning", "numpy"),
    }
    text = "".join(f"{name}: {value}\n" for name, value in lines.items())
    atomic_write(run.root / "QuickHelper_summary.txt", text)


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a JSON file, whole or not at all."""
    atomic_write(path, json.dumps(content, indent=2) + "\n")


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON file of a run.

    Raises:
        MissingFileError: it is not there.
        RunFolderError: it is damaged.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise MissingFileError("a file of the run is missing", where=path, hint="evaluate the run again") from None
    except ValueError as error:
        raise RunFolderError(f"a file of the run is damaged: {error}", where=path) from error
    if not isinstance(content, dict):
        raise RunFolderError(
            "a file of the run is damaged", where=path, expected="a JSON object", got=type(content).__name__
        )
    return content


def _settings(root: Path) -> dict[str, Any]:
    path = root / "config.toml"
    try:
        settings = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise RunFolderError("this is no run folder", where=root, expected="config.toml in it") from None
    except ValueError as error:
        raise RunFolderError(f"the run's config cannot be read: {error}", where=path) from error
    wrong = [
        name
        for name, kind in (("data", str), ("results", str), ("train", dict))
        if not isinstance(settings.get(name), kind)
    ]
    if wrong:
        raise RunFolderError(
            f"the run's config lacks {' and '.join(wrong)}",
            where=path,
            expected="the paths data and results, and the table [train]",
            got=", ".join(settings) or "nothing",
        )
    return settings


def plain(value: Any) -> Any:
    """Paths become text and tuples lists: what TOML and JSON both take."""
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return str(value) if isinstance(value, Path) else value
