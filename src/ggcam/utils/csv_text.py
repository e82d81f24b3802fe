"""Tables as CSV text that a spreadsheet opens without running anything."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def csv_text(table: pd.DataFrame, index: bool = False) -> str:
    """Format a table as CSV. Text that a spreadsheet would take for a formula gets an apostrophe in front.

    Args:
        table: the table; numbers are written as they are.
        index: whether to write the index.

    Returns:
        CSV text.

    Example:
        >>> import pandas as pd
        >>> print(csv_text(pd.DataFrame({"name": ["a", "=1+1"], "value": [-1, 2]})), end="")
        name,value
        a,-1
        '=1+1,2
    """
    return table.rename(columns=csv_cell).map(csv_cell).to_csv(index=index)


def csv_cell(value: object) -> object:
    """Put an apostrophe before text that a spreadsheet would take for a formula.

    Args:
        value: content of a cell.

    Returns:
        The same value, or text that starts with an apostrophe and has no carriage returns, which would end the line.
    """
    if not isinstance(value, str):
        return value
    text = f"'{value}" if value.startswith(_FORMULA) else value
    return text.replace("\r\n", "\n").replace("\r", "\n")
