"""Plot of the leader board: rank in place and gain in AUROC of each row, a panel for each data set and network.

python -m experiments.leaderboard_plot [FOLDER]
"""

from __future__ import annotations

import sys
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes

from experiments.evidence_plots import COLOURS
from experiments.leaderboard_parts import CONTROLLED, CONTROLS
from experiments.leaderboard_tables import SUMMARISED, is_published

PANELS = SUMMARISED | {"shortcut-vit": "shortcut, transformer", "poet-vit": "photographs, transformer"}
"""Part -> title of its panel."""

OURS = {"ggcam-cc": COLOURS[0], "ggcam-swap": COLOURS[1], "ggcam-swap (fading)": COLOURS[5]}
"""Our own methods -> their colours."""

CONTROL = {f"{CONTROLLED}+{control}": marker for control, marker in zip(CONTROLS, ("s", "^"), strict=True)}
"""Controls -> their markers."""

NAME_OFFSETS = (5, -10)
"""How far above their points the names of the published methods with the highest gains stand, in typographic points."""

COLUMNS = 3


def plot_board(folder: Path) -> None:
    """Draw the plot of all parts whose tables exist, and write it to `gains.png` beside them.

    Args:
        folder: folder of the tables.
    """
    tables = {title: folder / f"{part}.csv" for part, title in PANELS.items()}
    tables = {title: pd.read_csv(path).set_index("row") for title, path in tables.items() if path.is_file()}
    rows = -(-(len(tables) + 1) // COLUMNS)  # one panel more for the legend
    figure, axes = plt.subplots(rows, COLUMNS, figsize=(11, 3.4 * rows), sharey="row", layout="constrained")
    panels = list(axes.flat)
    for panel, (title, table) in zip(panels, tables.items(), strict=False):
        _draw(panel, table, title)
    for panel in panels[len(tables) :]:
        panel.axis("off")
    handles, labels = panels[0].get_legend_handles_labels()
    panels[len(tables)].legend(handles, labels, loc="center", frameon=False, fontsize=10)
    figure.supxlabel("mean rank in place (best at the right)", fontsize=10)
    figure.supylabel("gain in AUROC over no guidance; line: 95 % over patients and seeds", fontsize=10)
    figure.savefig(folder / "gains.png", dpi=110)
    plt.close(figure)


def _draw(panel: Axes, table: pd.DataFrame, title: str) -> None:
    """Draw the rows of one part; the best ones of the published methods bear their names."""
    published = table.loc[table.index.map(is_published)].drop("none")
    panel.axhline(0, color="black", linewidth=0.8)
    _points(panel, published, "published method", color="#999999")
    for row, marker in CONTROL.items():
        _points(panel, table.loc[[row]], row, color=COLOURS[2], marker=marker)
    for row, colour in OURS.items():
        _points(panel, table.loc[[row]], row, color=colour, size=46)
    panel.scatter(table.loc["none", "place_rank"], 0, color="black", marker="x", label="none", zorder=4)
    best = published.nlargest(len(NAME_OFFSETS), "auroc_gain")
    for row, place, gain, above in zip(best.index, best["place_rank"], best["auroc_gain"], NAME_OFFSETS, strict=True):
        left = place < table["place_rank"].mean()  # where a name to the right has less room
        offset, side = ((-4, above), "right") if left else ((4, above), "left")
        panel.annotate(str(row), (place, gain), xytext=offset, textcoords="offset points", ha=side, fontsize=8)
    panel.set_title(title, fontsize=10)
    panel.invert_xaxis()
    panel.grid(alpha=0.25)
    panel.spines[["top", "right"]].set_visible(False)


def _points(panel: Axes, table: pd.DataFrame, label: str, color: str, marker: str = "o", size: int = 26) -> None:
    """Draw rows as points with their intervals."""
    place = table["place_rank"]
    panel.vlines(place, table["auroc_gain_low"], table["auroc_gain_high"], color=color, alpha=0.5, linewidth=1)
    panel.scatter(place, table["auroc_gain"], label=label, color=color, marker=marker, s=size, zorder=3)


def main() -> None:
    plot_board(Path(sys.argv[1] if len(sys.argv) > 1 else "docs/leaderboard"))


if __name__ == "__main__":
    main()
