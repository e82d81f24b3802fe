"""Write the DICOM objects of predictions into a folder."""

from __future__ import annotations

import io
import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from threading import BoundedSemaphore

from pydicom.dataset import Dataset

from ggcam.data.find_images import DICOM_RESULT_SUFFIX
from ggcam.data.images import is_dicom_file
from ggcam.dicom_output.anonymise import Anonymiser
from ggcam.dicom_output.model_identity import read_model_identity
from ggcam.dicom_output.objects import dicom_objects
from ggcam.dicom_output.options import DicomOptions, Kind
from ggcam.dicom_output.source import read_source
from ggcam.dicom_output.subject import Subject
from ggcam.errors import ConfigError, ImageError
from ggcam.inference.engines import Precision
from ggcam.inference.result import PredictionResult
from ggcam.utils.atomic import atomic_write

log = logging.getLogger(__name__)

_SLOTS = BoundedSemaphore(2)
"""Limits the images whose objects are made at a time: the maps of many classes take much memory."""


class DicomWriter:
    """Writes the DICOM objects of predictions, one file each; :func:`ggcam.inference.predict.predict` calls it.

    File names consist of the kind and the SOP Instance UID, so they tell nothing about the patient. An object that is
    there already is kept as it is: the same UID means the same content.

    Args:
        run: run folder, or ONNX file of a run.
        folder: folder to write to; created if missing.
        options: which objects to make.

    Raises:
        RunFolderError: the run is unfinished or damaged, or the path does not exist.
        WeightsError: the file is not an ONNX file written by ggcam.
        ConfigError: `folder` is a file.

    Example:
        >>> from ggcam.inference.predict import predict  # doctest: +SKIP
        >>> writer = DicomWriter(Path("run/mine"), Path("objects"), DicomOptions(("pm", "sr")))  # doctest: +SKIP
        >>> predict(Path("run/mine"), [Path("chest.dcm")], Path("out"), writer=writer)  # doctest: +SKIP
        >>> [path.name for path in writer.folder.iterdir()]  # doctest: +SKIP
    """

    def __init__(self, run: Path, folder: Path, options: DicomOptions | None = None):
        if folder.exists() and not folder.is_dir():
            raise ConfigError("the output folder exists and is a file", where=folder, hint="choose another --dicom-out")
        self._folder = folder
        self._options = options or DicomOptions()
        self._model = read_model_identity(run)
        self._anonymise = Anonymiser() if self._options.anonymise else None
        self.written = 0
        """Number of objects that were written."""
        self.kept = 0
        """Number of objects that were there already."""
        self.skipped: dict[str, str] = {}
        """Image -> why it has no objects."""

    @property
    def folder(self) -> Path:
        """Folder to write to."""
        return self._folder

    @property
    def fingerprint(self) -> str:
        """Text that another writer has only if it can go on with the objects of this one."""
        secret = "" if self._anonymise is None else self._anonymise.number
        return " ".join([*self._model.key, str(self._options), str(self._folder.resolve()), secret])

    def start(self, images: Sequence[Path]) -> None:
        """Check that there is a DICOM image, and create the folder.

        Args:
            images: the files that will be predicted.

        Raises:
            ConfigError: none of them is a DICOM file.
        """
        if not any(_is_dicom(path) for path in images):
            raise ConfigError(
                "DICOM results join the study of their image, and none of the images is a DICOM file",
                where="--dicom-out",
                expected="at least one DICOM image; PNG, JPEG and TIFF files belong to no study",
                got=f"{len(images):,} other images, such as {images[0]}" if images else "no images",
                hint="leave --dicom-out out: predictions.csv and the overlays work for every format",
            )
        self._folder.mkdir(parents=True, exist_ok=True)

    def set_precision(self, precision: Precision) -> None:
        """Note what the predictions are computed in: objects of other precisions have other UIDs.

        Args:
            precision: the precision.
        """
        self._model = replace(self._model, precision=precision)

    def write(self, image: Path, result: PredictionResult) -> list[dict[str, str]]:
        """Write the objects of one prediction, or note why there are none.

        Args:
            image: the file.
            result: its prediction.

        Returns:
            For each object its image, kind, file and the attributes that were made up, and whether it was there
            already; or why there are none.

        Raises:
            OSError: a file cannot be written.
        """
        try:
            with _SLOTS:
                objects, made_up = self._make(image, result)
                return [self._save(image, kind, made, " ".join(made_up)) for kind, made in objects.items()]
        except ImageError as error:
            return [{"image": str(image), "error": str(error)}]

    def count(self, rows: Sequence[Mapping[str, str]]) -> None:
        """Count objects in `written`, `kept` and `skipped`.

        Args:
            rows: what :meth:`write` returned, here or on another machine.
        """
        for row in rows:
            if "error" in row:
                self.skipped[row["image"]] = row["error"]
            elif row["kept"]:
                self.kept += 1
            else:
                self.written += 1

    def _make(self, image: Path, result: PredictionResult) -> tuple[dict[Kind, Dataset], tuple[str, ...]]:
        source = read_source(image)
        if source.made_up:
            log.warning("%s: made up for the DICOM results: %s", image, ", ".join(source.made_up))
        if source.ignored:
            log.warning("%s: invalid values that the DICOM results leave out: %s", image, ", ".join(source.ignored))
        reference = source.reference
        if self._anonymise is not None:
            reference = self._anonymise(reference)
            if reference.get("BurnedInAnnotation") == "YES" and "sc" in self._options.kinds:
                raise ImageError(
                    "the pixels of the image have burned-in text, which a Secondary Capture would show",
                    where=image,
                    hint="leave sc out of --dicom-kinds, or --anonymise",
                )
        return dicom_objects(Subject(reference, result, self._model, self._options)), source.made_up

    def _save(self, image: Path, kind: Kind, made: Dataset, made_up: str) -> dict[str, str]:
        path = self._folder / f"{kind}_{made.SOPInstanceUID}{DICOM_RESULT_SUFFIX}"
        kept = path.exists()
        if not kept:
            buffer = io.BytesIO()  # pydicom would turn an error of the disk into one of its own
            made.save_as(buffer, enforce_file_format=True)
            atomic_write(path, buffer.getbuffer())
        row = {"image": str(image), "kind": kind, "file": path.name, "made_up": made_up}
        return {**row, "kept": "yes" if kept else ""}


def _is_dicom(path: Path) -> bool:
    try:
        return is_dicom_file(path)
    except ImageError:  # reported when it is predicted
        return False
