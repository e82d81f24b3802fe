"""The positional arguments that commands share, under the names by which the help and the messages call them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

Raw = Positional[Annotated[Path, arg(metavar="RAW")]]
"""A folder of raw data."""
Out = Positional[Annotated[Path, arg(metavar="OUT")]]
"""A folder to make."""
Data = Positional[Annotated[Path, arg(metavar="DATA")]]
"""A prepared folder."""
Run = Positional[Annotated[Path, arg(metavar="RUN")]]
"""A run folder."""
