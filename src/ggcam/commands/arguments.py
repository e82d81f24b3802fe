"""Positional arguments that several commands share, with their names in help texts and messages."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

Raw = Positional[Annotated[Path, arg(metavar="RAW")]]
"""Folder with raw data."""
Out = Positional[Annotated[Path, arg(metavar="OUT")]]
"""Folder to create."""
Data = Positional[Annotated[Path, arg(metavar="DATA")]]
"""Prepared folder."""
Run = Positional[Annotated[Path, arg(metavar="RUN")]]
"""Run folder."""
