"""The run folder: paths of its files, and the files that are written before training. Needs no model."""

from __future__ import annotations

import errno
import os
import platform
import secrets
import shutil
import string
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from ggcam.errors import RunFolderError
from ggcam.utils import toml
from ggcam.utils.atomic import atomic_write
from ggcam.utils.documents import read_json, read_toml
from ggcam.utils.foreign_paths import check_no_links_out, is_file_name
from ggcam.utils.json_files import write_json
from ggcam.utils.parallel import cpu_count
from ggcam.utils.recorded_paths import record_path, recorded_path
from ggcam.utils.structure import plain
from ggcam.utils.versions import versions

_PARTIAL = ".partial"
"""End of the name of a run folder that is being created."""

_ABANDONED_S = 600.0
"""Age from which such a folder has been left by a killed process."""

PROBABILITY, LOGIT = "probability_", "logit_"
"""Prefixes of the columns of predictions.parquet that hold the probability and the logit of each class."""


def predicted_classes(columns: Iterable[object]) -> tuple[str, ...]:
    """Return the names of the classes in predictions.parquet.

    Args:
        columns: column names of the table.

    Returns:
        Name of each class that has a column of probabilities, in order.
    """
    return tuple(str(name).removeprefix(PROBABILITY) for name in columns if str(name).startswith(PROBABILITY))


@dataclass(frozen=True)
class RunFolder:
    """Paths of the files in a run folder, and the two files that describe the run.

    Attributes:
        root: the folder itself, `.../<ID>`.
        results: `<Net>_<type>_<XXXXX>` inside it, with the files of the original GG-CAM.
    """

    root: Path
    results: Path

    @property
    def weights(self) -> Path:
        """Parameters of the best network. Written last: if it exists, training has finished."""
        return self.results / "NET.pt"

    @property
    def onnx(self) -> Path:
        """The same network as ONNX, if an engine has needed it."""
        return self.results / "NET.onnx"

    @property
    def onnx_int8(self) -> Path:
        """The same as ONNX that computes in 8-bit integers, if that has been needed."""
        return self.results / "NET-int8.onnx"

    @property
    def calibration(self) -> Path:
        """Temperatures and thresholds, chosen on the validation cases."""
        return self.root / "calibration.json"

    @property
    def typicality(self) -> Path:
        """What the training images look like; beside it, `typicality.npz` has the statistics of their features."""
        return self.root / "typicality.json"

    @property
    def classification_report(self) -> Path:
        """Classification metrics under the original GG-CAM's names."""
        return self.results / "classification_report.json"

    @property
    def results_csv(self) -> Path:
        """Output of the network for each test image, in the original's columns."""
        return self.results / "classification_results.csv"

    @property
    def training_plot(self) -> Path:
        """Plot of the learning rate, the losses and the validation metric over the epochs."""
        return self.results / "training_process.png"

    @property
    def checkpoints(self) -> Path:
        """Folder of `last.ckpt`, `previous.ckpt` and `best.ckpt`."""
        return self.root / "checkpoints"

    @property
    def last_checkpoint(self) -> Path:
        """State of the training after its last complete epoch."""
        return self.checkpoints / "last.ckpt"

    @property
    def history(self) -> Path:
        """Table of losses, validation metrics and learning rate, one row per epoch."""
        return self.root / "history.csv"

    @property
    def divergence(self) -> Path:
        """Why the training has no result, as text; only in a run whose training diverged."""
        return self.root / "divergence.txt"

    @property
    def metrics(self) -> Path:
        """All metrics with their confidence intervals."""
        return self.root / "metrics.json"

    @property
    def predictions(self) -> Path:
        """Table of predictions, one row per evaluated case."""
        return self.root / "predictions.parquet"

    @property
    def case_metrics(self) -> Path:
        """Table of the metrics that are means over cases: one row per case, or per case and label that it has."""
        return self.root / "case_metrics.parquet"

    @property
    def cams(self) -> Path:
        """Arrays `case_id` (n,) and `cam` (n, k, h, w) of the evaluated cases."""
        return self.root / "cams.npz"

    @property
    def html_report(self) -> Path:
        """The report, to open in a browser."""
        return self.root / "report.html"

    @property
    def config(self) -> Path:
        """Options of the run; `ggcam train --config` repeats it."""
        return self.root / "config.toml"

    @property
    def summary(self) -> Path:
        """Run ID, duration, machine and versions, as text."""
        return self.root / "QuickHelper_summary.txt"

    @cached_property
    def settings(self) -> Mapping[str, Any]:
        """Content of config.toml: data (path of the prepared folder), results, and the table train."""
        return _read_settings(self.root)

    @property
    def data_root(self) -> Path:
        """Path of the prepared folder that the run was trained on.

        Raises:
            RunFolderError: the run does not record it.
        """
        found = recorded_path(self.settings["data"], self.root)
        if found is None:
            raise RunFolderError(
                "the run does not record where its data are",
                where=self.config,
                hint="pass them with --data, or enter their path as data in this file",
            )
        return found

    @cached_property
    def model_settings(self) -> Mapping[str, Any]:
        """Content of params_<Net>_.txt, the description of the network."""
        found = sorted(path for path in self.root.glob("params_*_.txt") if path.name != "params_NetLearn_.txt")
        if not found:
            raise RunFolderError("the description of the network is missing", where=self.root / "params_<Net>_.txt")
        return read_json(found[0], RunFolderError)


def create_run_folder(
    parent: Path, name: str | None, settings: Mapping[str, Any], model_settings: Mapping[str, Any]
) -> RunFolder:
    """Create `parent/<ID>` with the files that are known before training.

    Args:
        parent: folder of the runs.
        name: ID of the run; None draws five random letters and digits.
        settings: content of config.toml: `data` and the table `train`.
        model_settings: description of the network. `net` (its class) and `type` become part of file names; the name
            of the results folder begins with `results` instead of `net` if there is one, as with the original's
            networks.

    Returns:
        Paths of the new folder.

    Raises:
        RunFolderError: the name is not valid or already taken.
    """
    if name is not None and (name in ("", "..") or Path(name).name != name):
        raise RunFolderError("not a valid folder name", where="--name", got=repr(name))
    root = parent / (name or random_code())
    taken = RunFolderError(
        "the run's name is already taken",
        where=root,
        hint="choose another --name, or continue an unfinished run with --resume",
    )
    if root.exists() and (not root.is_dir() or any(root.iterdir())):
        raise taken
    net, kind = str(model_settings["net"]), str(model_settings["type"]).translate({ord("/"): "_", ord(":"): "_"})
    run = RunFolder(root, root / f"{model_settings.get('results', net)}_{kind}_{random_code()}")
    content = plain({"results": run.results.name, **settings})
    if not content["train"].get("keep_paths"):
        content["data"] = record_path(Path(content["data"]), root)
        if weights := content["train"].get("weights"):
            content["train"]["weights"] = Path(weights).name
    _remove_abandoned(parent)
    # Written aside and renamed, so that a run folder is whole or does not exist.
    partial = parent / f".{root.name}.{random_code()}{_PARTIAL}"
    try:
        (partial / run.results.name).mkdir(parents=True)
        (partial / run.checkpoints.name).mkdir()
        write_json(partial / "params_NetLearn_.txt", content["train"])
        write_json(partial / f"params_{net}_.txt", plain(model_settings))
        atomic_write(partial / run.config.name, toml.dumps(content))
        os.replace(partial, root)
    except OSError as error:
        if error.errno in (errno.EEXIST, errno.ENOTEMPTY):  # another process was faster
            raise taken from None
        raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return run


def _remove_abandoned(parent: Path) -> None:
    """Remove what processes have left that were killed while they created a run folder, which takes milliseconds."""
    for path in parent.glob(f".*{_PARTIAL}"):
        with suppress(OSError):
            if path.is_dir() and not path.is_symlink() and time.time() - path.stat().st_mtime > _ABANDONED_S:
                shutil.rmtree(path)


def open_run_folder(root: Path) -> RunFolder:
    """Find the files of a run folder.

    Args:
        root: the run folder.

    Returns:
        Paths of its files.

    Raises:
        RunFolderError: the folder does not exist, is not a run folder, its config.toml is damaged, or something in it
            leads out of it.
    """
    if not root.is_dir():
        raise RunFolderError("the run folder does not exist", where=root, expected="a folder that `ggcam train` wrote")
    results = str(_read_settings(root)["results"])
    if not is_file_name(results):
        raise RunFolderError(
            "the results folder of the run must be inside the run folder",
            where=root / "config.toml",
            expected="results: the name of a folder",
            got=repr(results),
        )
    run = RunFolder(root, root / results)
    for folder in (root, run.results, run.checkpoints, root / "logs"):
        check_no_links_out(folder, root, RunFolderError)
    return run


def random_code() -> str:
    """Return five letters and digits of the system's randomness: two runs with the same seed get different names."""
    return "".join(secrets.choice(string.ascii_uppercase + string.digits) for _ in range(5))


def write_summary(run: RunFolder, elapsed_s: float, device: str) -> None:
    """Write `QuickHelper_summary.txt`: ID, folder, duration, machine and versions.

    Args:
        run: finished run.
        elapsed_s: duration of the training in seconds.
        device: device that the network was trained on.
    """
    lines = {
        "id": run.root.name,
        "folder": f"{run.root.name}/{run.results.name}",
        "finished": time.strftime("%Y-%m-%d %H:%M:%S"),
        "elapsed_s": f"{elapsed_s:.1f}",
        "machine": f"{platform.system()} {platform.machine()}, {cpu_count()} cores",
        "device": device,
        "python": platform.python_version(),
        **versions("ggcam", "torch", "torchvision", "timm", "lightning", "numpy"),
    }
    text = "".join(f"{name}: {value}\n" for name, value in lines.items())
    atomic_write(run.summary, text)


def _read_settings(root: Path) -> dict[str, Any]:
    path = root / "config.toml"
    if not path.is_file():
        raise RunFolderError("not a run folder", where=root, expected="a folder with a config.toml")
    settings = read_toml(path, RunFolderError)
    types = {"data": str, "results": str, "train": dict}
    missing = [name for name, kind in types.items() if not isinstance(settings.get(name), kind)]
    if missing:
        raise RunFolderError(
            f"the run's config.toml lacks {' and '.join(missing)}",
            where=path,
            expected="the paths data and results, and the table [train]",
            got=", ".join(settings) or "nothing",
        )
    return settings
