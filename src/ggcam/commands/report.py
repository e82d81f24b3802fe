"""`ggcam report`."""

from __future__ import annotations

from pathlib import Path

from ggcam.commands.arguments import Run


def report(run: Run, out: Path | None = None) -> None:
    """Write the page of an evaluated run anew: one HTML file that needs nothing else.

    Example: ggcam report run/K3F9Q

    Args:
        run: the run folder.
        out: the page; report.html in the run folder by default.
    """
    from ggcam.report.page import write_run_report
    from ggcam.report.run_results import read_results
    from ggcam.run_folder import open_run_folder

    folder = open_run_folder(run)
    page = out or folder.page
    write_run_report(read_results(folder), page)
    print(page)
