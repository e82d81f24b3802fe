"""`ggcam report`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg


def report(run: Positional[Annotated[Path, arg(metavar="RUN|STUDY")]], out: Path | None = None) -> None:
    """Write the page of an evaluated run, or of a study, anew: one HTML file that needs nothing else.

    Example: ggcam report run/K3F9Q

    Args:
        run: the run folder, or the study folder.
        out: the page; report.html in the folder by default.
    """
    from ggcam.report.run_page import write_run_report
    from ggcam.report.run_results import read_results
    from ggcam.run_folder import open_run_folder
    from ggcam.study.folder import StudyFolder
    from ggcam.study.page import write_study_page

    if StudyFolder(run).plan.is_file():
        page = write_study_page(run, out)
    else:
        folder = open_run_folder(run)
        page = out or folder.html_report
        write_run_report(read_results(folder), page)
    print(page)
