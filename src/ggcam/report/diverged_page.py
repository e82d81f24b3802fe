"""The page of a run whose training diverged: why it has no results, and its training until then."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from ggcam.report.render import render, write_page
from ggcam.report.run_charts import training_charts


def write_diverged_report(run_id: str, reason: str, history: pd.DataFrame | None, config: str, out_html: Path) -> None:
    """Write the page of a run whose training diverged, as a single file.

    Args:
        run_id: name of the run.
        reason: the error, as text of several lines.
        history: content of history.csv, with the epochs before; None without any.
        config: content of config.toml.
        out_html: file to write; its folder is created if missing.
    """
    what, *details = reason.splitlines()
    charts = training_charts(history) if history is not None else ()
    page = render("diverged.html.j2", run_id=run_id, what=what, details=details, charts=charts, config=config)
    write_page(page, out_html)
