"""The prediction for one image: probabilities, CAMs and overlays."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Bool, Float32, Shaped, UInt8

from ggcam.data.find_images import OVERLAY_SUFFIX, image_stem
from ggcam.data.framing import Framing
from ggcam.errors import ConfigError
from ggcam.inference.image_input import load_shown
from ggcam.report.overlay import cam_overlay, save_png
from ggcam.utils.json_files import write_json


@dataclass(frozen=True, eq=False, repr=False)
class PredictionResult:
    """The prediction for one image. Overlays and image-sized CAMs are computed when they are asked for.

    Attributes:
        image: the file or the array that was predicted.
        image_size: its height and width in pixels.
        probabilities: class name -> probability, 0 to 1.
        cam_grid: class name -> CAM on its own grid over the frame, shape (h, w), float32, any range.
        framing: how the image was brought into the frame.
        shown: the image at the size of the overlay; None to read it again when an overlay is drawn.
        unusual: mark -> why the image is unlike the training images; empty for an image like them, None if the run
            does not know what its training images look like.
    """

    image: Path | np.ndarray
    image_size: tuple[int, int]
    probabilities: Mapping[str, float]
    cam_grid: Mapping[str, Float32[np.ndarray, "h w"]]
    framing: Framing
    shown: Shaped[np.ndarray, "shown_h shown_w ..."] | None = None
    unusual: Mapping[str, str] | None = None

    @property
    def predicted(self) -> str:
        """Name of the most probable class; of several labels the most probable one, however improbable."""
        return list(self.probabilities)[int(np.argmax(list(self.probabilities.values())))]

    @property
    def cam(self) -> Mapping[str, Float32[np.ndarray, "image_h image_w"]]:
        """Class name -> CAM at the image's own size, float32; NaN in margins that the network did not see."""
        return _ImageSizedCams(self)

    def cam_at(self, class_name: str, size: tuple[int, int]) -> Float32[np.ndarray, "y x"]:
        """Interpolate the CAM of a class on the whole image at some size.

        Args:
            class_name: the class.
            size: height and width of the result in pixels.

        Returns:
            Float32, any range; NaN in margins that the network did not see.
        """
        cam, inside = self._resample(class_name, size)
        return np.where(inside, cam, np.float32(np.nan))

    def overlay(self, class_name: str | None = None) -> UInt8[np.ndarray, "y x 3"]:
        """Draw the CAM of a class over the image.

        Args:
            class_name: the class; None for the predicted one.

        Returns:
            RGB image, uint8; at the image's own size, or reduced to `OVERLAY_SIDE_PX` on its longer side.

        Raises:
            ConfigError: there is no such class.
            ImageError: the image file cannot be read any more.
        """
        name = self.predicted if class_name is None else class_name
        if name not in self.cam_grid:
            raise ConfigError("no such class", expected=", ".join(self.cam_grid), got=name)
        shown = load_shown(self.image, self.framing) if self.shown is None else self.shown
        cam, inside = self._resample(name, shown.shape[:2])
        return cam_overlay(shown, np.where(inside, cam, cam.min()))

    def save(self, folder: str | os.PathLike[str], name: str | None = None) -> Path:
        """Write the overlay of the predicted class, `<name>_cam.png`, and the probabilities, `<name>.json`.

        The JSON file is written last: where it exists, both files are complete.

        Args:
            folder: where to write; created if missing.
            name: name of the files; None for that of the image file, or "image" for an array.

        Returns:
            Path of the JSON file.

        Raises:
            ImageError: the image file cannot be read any more.
        """
        folder = Path(folder)
        name = name or (image_stem(self.image.name) if isinstance(self.image, Path) else "image")
        content = {
            "image": str(self.image) if isinstance(self.image, Path) else None,
            "predicted": self.predicted,
            "probabilities": dict(self.probabilities),
            **({} if self.unusual is None else {"unusual": dict(self.unusual)}),
            "overlay": name + OVERLAY_SUFFIX,
            "use": "for research use; not a medical device",
        }
        folder.mkdir(parents=True, exist_ok=True)
        save_png(folder / (name + OVERLAY_SUFFIX), self.overlay())
        path = folder / f"{name}.json"
        write_json(path, content)
        return path

    def __repr__(self) -> str:
        image = self.image.name if isinstance(self.image, Path) else f"array of {self.image_size}"
        unusual = f"; unusual: {', '.join(self.unusual)}" if self.unusual else ""
        return f"PredictionResult({image}: {self.predicted} {self.probabilities[self.predicted]:.2f}{unusual})"

    def _resample(
        self, class_name: str, size: tuple[int, ...]
    ) -> tuple[Float32[np.ndarray, "y x"], Bool[np.ndarray, "y x"]]:
        """Interpolate a CAM on the image at some size, and tell which of its pixels lie inside the frame."""
        cam, frame, affine = self.cam_grid[class_name], self.framing.frame, self.framing.affine(*self.image_size)
        height, width = size
        # Pixel of the result -> pixel of the image -> pixel of the frame -> CAM cell; all origins at the top left.
        cells_x, cells_y = cam.shape[1] / frame.width_px, cam.shape[0] / frame.height_px
        x = affine.apply_x((np.arange(width) + 0.5) * self.image_size[1] / width) * cells_x - 0.5
        y = affine.apply_y((np.arange(height) + 0.5) * self.image_size[0] / height) * cells_y - 0.5
        x, y = x.astype(np.float32), y.astype(np.float32)
        columns, rows = np.meshgrid(x, y)
        smooth = cv2.remap(cam, columns, rows, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
        return smooth, _inside(y, cam.shape[0])[:, None] & _inside(x, cam.shape[1])


def _inside(cells: Float32[np.ndarray, " n"], count: int) -> Bool[np.ndarray, " n"]:
    """Return which positions lie in one of the cells, whose centres are the whole numbers from 0."""
    return (cells >= -0.5) & (cells <= count - 0.5)


class _ImageSizedCams(Mapping[str, np.ndarray]):
    """Class name -> CAM at the image's own size, computed anew at each look-up: it may be as large as the image."""

    def __init__(self, result: PredictionResult):
        self._result = result

    def __getitem__(self, class_name: str) -> Float32[np.ndarray, "image_h image_w"]:
        return self._result.cam_at(class_name, self._result.image_size)

    def __iter__(self) -> Iterator[str]:
        return iter(self._result.cam_grid)

    def __len__(self) -> int:
        return len(self._result.cam_grid)
