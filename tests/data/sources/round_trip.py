"""Images with one bright spot, and a check that gaze on the spot is on it after preparing."""

from pathlib import Path

import numpy as np

from ggcam.data.case import Source
from ggcam.data.prepare.config import PrepareConfig
from ggcam.data.prepare.pipeline import prepare_source
from ggcam.gaze.maps import attention_map

FRAME = (192, 160)
STRIDE_PX = 32


def spot(height: int, width: int, row: int, column: int, half: int = 4) -> np.ndarray:
    """A black image with a white square around the pixel (row, column)."""
    image = np.zeros((height, width), np.uint8)
    image[row - half : row + half + 1, column - half : column + half + 1] = 255
    return image


def check_gaze_on_spots(source: Source, out: Path) -> int:
    """Prepare a source, and compare the fixations of each case with its spot.

    They must agree to half a pixel in the frame, and lie in the same cell of the CAM grid.

    Args:
        source: cases with one spot and fixations on it.
        out: folder to create.

    Returns:
        Number of cases with gaze.
    """
    size = f"{FRAME[0]}x{FRAME[1]}"
    data = prepare_source(source, out, PrepareConfig(size=size, workers=1, split_fractions=(1.0, 0.0, 0.0)))
    for case_id, gaze in data.gaze.items():
        image = data.read_image(case_id).astype(float)
        rows, columns = np.indices(image.shape)
        y_px, x_px = ((at + 0.5) * image / image.sum() for at in (rows, columns))
        y_px, x_px = y_px.sum(), x_px.sum()
        np.testing.assert_allclose(gaze.x_px, x_px, atol=0.5)
        np.testing.assert_allclose(gaze.y_px, y_px, atol=0.5)
        grid = (FRAME[0] // STRIDE_PX, FRAME[1] // STRIDE_PX)
        drawn = attention_map(gaze, grid, FRAME, sigma_px=2.0)
        assert np.unravel_index(drawn.argmax(), grid) == (int(y_px) // STRIDE_PX, int(x_px) // STRIDE_PX)
    return len(data.gaze)


def rectangle(height: int, width: int, x0: int, y0: int, x1: int, y1: int) -> np.ndarray:
    """A black image with a white rectangle, from pixel x0 to x1 and from y0 to y1 (both exclusive)."""
    image = np.zeros((height, width), np.uint8)
    image[y0:y1, x0:x1] = 255
    return image


def check_boxes_on_rectangles(source: Source, out: Path) -> int:
    """Prepare a source, and compare the box of each case with its white rectangle, to half a pixel of the frame.

    Args:
        source: cases with one rectangle and one box around it.
        out: folder to create.

    Returns:
        Number of cases with a box.
    """
    size = f"{FRAME[0]}x{FRAME[1]}"
    data = prepare_source(source, out, PrepareConfig(size=size, workers=1, split_fractions=(1.0, 0.0, 0.0)))
    for case_id, (box,) in data.boxes.items():
        share = data.read_image(case_id).astype(float) / 255
        for low, high, profile in (
            (box.x0_px, box.x1_px, share.max(axis=0)),
            (box.y0_px, box.y1_px, share.max(axis=1)),
        ):
            lit = np.flatnonzero(profile > 0)
            # A pixel that the rectangle covers in part is grey in proportion.
            np.testing.assert_allclose(low, lit[0] + 1 - profile[lit[0]], atol=0.5)
            np.testing.assert_allclose(high, lit[-1] + profile[lit[-1]], atol=0.5)
    return len(data.boxes)
