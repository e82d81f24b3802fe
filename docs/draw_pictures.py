"""Draw the tutorial's pictures from the folder that `make demo` leaves: `python docs/draw_pictures.py demo docs`."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

from matplotlib import pyplot
from PIL import Image

import ggcam


def draw_gaze(demo: Path, out_png: Path) -> None:
    """Draw one case of each class: the scanpath above, the attention map below."""
    data = ggcam.load_prepared(demo / "data")
    figure, axes = pyplot.subplots(2, len(data.class_names), figsize=(9, 8), layout="constrained")
    for label, (name, column) in enumerate(zip(data.class_names, axes.T, strict=True)):
        chosen = data.cases.query(f"label == {label} and has_gaze and split == 'test'")
        case_id = chosen["case_id"].iloc[0]
        image, fixations = data.read_image(case_id), data.gaze[case_id]
        findings = [region for region in data.boxes.get(case_id, ()) if region.is_finding]
        ggcam.plots.plot_scanpath(image, fixations, ax=column[0]).set_title(name)
        ggcam.plots.plot_attention_map(image, fixations, regions=findings, ax=column[1])
    figure.savefig(out_png, dpi=90)
    pyplot.close(figure)
    Image.open(out_png).convert("RGB").quantize(128).save(out_png, optimize=True)  # a third of the size


def draw_pictures(demo: Path, docs: Path) -> None:
    """Write the pictures into the folder of the documentation."""
    (docs / "tutorial").mkdir(parents=True, exist_ok=True)
    draw_gaze(demo, docs / "tutorial" / "gaze.png")
    shutil.copy(ggcam.open_run(demo / "run" / "ggcam-cc").folder.training_plot, docs / "tutorial" / "training.png")
    shutil.copy(demo / "comparison.png", docs / "comparison.png")


if __name__ == "__main__":
    draw_pictures(Path(sys.argv[1]), Path(sys.argv[2]))
