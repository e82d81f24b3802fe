"""`ggcam report`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg


def report(
    run: Positional[Annotated[Path, arg(metavar="RUN|STUDY")]], out: Path | None = None, data: Path | None = None
) -> None:
    """Write the HTML report of a run or a study again.

    Example: ggcam report run/K3F9Q

    The report is one file that needs no other.

    Args:
        run: run folder or study folder.
        out: file to write. Default: report.html in the folder.
        data: prepared folder. Default: the one that the run or the study records.
    """
    from ggcam.evaluation.run_results import write_report
    from ggcam.study.folder import StudyFolder
    from ggcam.study.page import write_study_page
    from ggcam.training.run import open_run

    if StudyFolder(run).plan.is_file():
        page = write_study_page(run, out, data)
    else:
        opened = open_run(run)
        page = out or opened.folder.html_report
        write_report(opened, page, data)
    print(page)
