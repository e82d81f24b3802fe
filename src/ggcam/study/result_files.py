"""The result files of a study, each checked against its schema where it is opened."""

from __future__ import annotations

import pandas as pd
import pyarrow as pa

from ggcam.data.parquet_files import read_parquet
from ggcam.errors import RunFolderError
from ggcam.report.result_schemas import StudySummary
from ggcam.study.folder import StudyFolder
from ggcam.utils.documents import read_json
from ggcam.utils.structure import structure

_AGAIN = "run the same `ggcam study` again"

_TEXT = pa.string()
TABLE = pa.schema(
    [
        *(pa.field(name, _TEXT, nullable=False) for name in ("run", "arm", "guidance", "control")),
        *(pa.field(name, pa.int64(), nullable=False) for name in ("seed", "fold")),
        pa.field("train_cases", pa.int64()),
        pa.field("metric", _TEXT, nullable=False),
        *(pa.field(name, pa.float64()) for name in ("value", "low", "high")),
    ]
)
"""Columns of study.parquet."""


def read_summary(study: StudyFolder) -> StudySummary:
    """Read summary.json.

    Args:
        study: the study folder.

    Returns:
        Its content.

    Raises:
        MissingFileError: the study has no results.
        RunFolderError: the file is damaged.
    """
    content = read_json(study.summary, RunFolderError, _AGAIN)
    return structure(content, StudySummary, study.summary, error=RunFolderError, hint=_AGAIN)


def read_table(study: StudyFolder) -> pd.DataFrame:
    """Read study.parquet.

    Args:
        study: the study folder.

    Returns:
        One row per finished run and metric.

    Raises:
        MissingFileError: the study has no results.
        RunFolderError: the file is damaged.
    """
    table = read_parquet(study.table, TABLE, RunFolderError, _AGAIN)
    return table.replace_schema_metadata(None).to_pandas().astype({"train_cases": "Int64"})


def read_errors(study: StudyFolder) -> dict[str, str]:
    """Read errors.json.

    Args:
        study: the study folder.

    Returns:
        Name of each run that failed in the last call -> its error; empty if the file does not exist.

    Raises:
        RunFolderError: the file is damaged.
    """
    if not study.errors.is_file():
        return {}
    content = read_json(study.errors, RunFolderError, _AGAIN)
    for name, error in content.items():
        if not isinstance(error, str):
            raise RunFolderError(
                f"invalid value for key {name}", where=study.errors, expected="a string", got=repr(error), hint=_AGAIN
            )
    return content
