"""The images on which an exported file is compared with its run, as both of them see them."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from ggcam.data.case import Split
from ggcam.data.find_images import find_images
from ggcam.data.framing import Framing
from ggcam.data.prepared import PreparedData
from ggcam.data.schema import image_name
from ggcam.errors import ImageError, MissingFileError, PreparedFolderError
from ggcam.inference.image_input import LoadedImage, load_image
from ggcam.inference.predictor import to_batch
from ggcam.inference.run_images import BATCH_SIZE, evenly_spaced, first_split, run_data, split_images
from ggcam.training.run import Run
from ggcam.utils.parallel import thread_count


@dataclass(frozen=True, eq=False)
class ComparedImages:
    """A batch of b images.

    Attributes:
        names: file of each image.
        as_run: the images as the run frames them, shape (b, channels, H, W).
        as_file: the images as the metadata of the exported file say.
    """

    names: list[str]
    as_run: UInt8[np.ndarray, "b i H W"]
    as_file: UInt8[np.ndarray, "b i H W"]


class PreparedImages:
    """The prepared images of the run's test split, or of its validation split; framing does not apply to them.

    Args:
        run: the run.
        limit: maximum number of images; None for all.

    Raises:
        MissingFileError: the data of the run cannot be read, or have neither test nor validation cases.
    """

    def __init__(self, run: Run, limit: int | None = None):
        self._data, split = _data_and_split(run)
        self._split: Split = split
        self._limit = limit
        self.unreadable: dict[str, str] = {}
        cases = int(np.count_nonzero(self._data.cases["split"] == split))
        self.number = cases if limit is None else min(cases, limit)

    def __iter__(self) -> Iterator[ComparedImages]:
        for batch in split_images(self._data, self._split, self._limit):
            names = [str(self._data.root / image_name(case_id)) for case_id in batch.case_ids]
            yield ComparedImages(names, batch.pixels, batch.pixels)


def _data_and_split(run: Run) -> tuple[PreparedData, Split]:
    hint = "pass images: ggcam verify RUN FILE --images FOLDER"
    try:
        data = run_data(run)
    except PreparedFolderError as error:
        raise MissingFileError(
            f"the run's own images cannot be read: {error.what}", where=run.folder.root, hint=hint
        ) from error
    split = first_split(data, "test", "valid")
    if split is None:
        raise MissingFileError("the run has neither test nor validation images", where=data.root, hint=hint)
    return data, split


@dataclass(eq=False)
class ImageFiles:
    """Image files, decoded and framed as the run and as the exported file do.

    Attributes:
        root: image file, or folder that is searched for images.
        framings: framing of the run, and framing that the exported file states.
        limit: maximum number of images; None for all.
        unreadable: image -> why it could not be read; filled while iterating.

    Raises:
        MissingFileError: the folder does not exist, or contains no images.
    """

    root: Path
    framings: tuple[Framing, Framing]
    limit: int | None = None
    unreadable: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        found = _find(self.root)
        self._paths = [found[row] for row in evenly_spaced(len(found), self.limit)]

    @property
    def number(self) -> int:
        """Number of images, unreadable ones included."""
        return len(self._paths)

    def __iter__(self) -> Iterator[ComparedImages]:
        ours, theirs = self.framings
        with ThreadPoolExecutor(thread_count()) as pool:
            for start in range(0, len(self._paths), BATCH_SIZE):
                paths = self._paths[start : start + BATCH_SIZE]
                as_run = list(pool.map(partial(_load, framing=ours), paths))
                as_file = as_run if ours == theirs else list(pool.map(partial(_load, framing=theirs), paths))
                readable: list[tuple[str, LoadedImage, LoadedImage]] = []
                for path, one, other in zip(paths, as_run, as_file, strict=True):
                    if isinstance(one, LoadedImage) and isinstance(other, LoadedImage):
                        readable.append((str(path), one, other))
                    else:
                        self.unreadable[str(path)] = str(one if isinstance(one, ImageError) else other)
                if readable:
                    names, ones, others = zip(*readable, strict=True)
                    yield ComparedImages(list(names), *(to_batch([each.framed for each in i]) for i in (ones, others)))


def _find(root: Path) -> list[Path]:
    if root.is_file():
        return [root]
    if not root.is_dir():
        raise MissingFileError("the folder of images does not exist", where=root)
    found = find_images(root)
    if not found.images:
        raise MissingFileError("the folder contains no images", where=root, expected="PNG, JPEG, TIFF or DICOM files")
    return [root / name for name in found.images]


def _load(path: Path, framing: Framing) -> LoadedImage | ImageError:
    try:
        return load_image(path, framing)
    except ImageError as error:
        return error
