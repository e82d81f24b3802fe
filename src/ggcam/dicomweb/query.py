"""Which images of a DICOMweb server to predict."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta

from ggcam.errors import ConfigError

RESULT_MODALITIES = frozenset({"OT", "PR", "SEG", "SR"})
"""Modalities of the objects that ggcam writes: they are never taken as images."""

_CODE = re.compile(r"[A-Z0-9 _*?]{1,16}")
"""A Code String of DICOM (PS3.5 6.2), with the wildcards of a query."""


@dataclass(frozen=True)
class ImageQuery:
    """Which images to predict.

    Attributes:
        modalities: values of Modality.
        body_parts: values of Body Part Examined, with the wildcards `*` and `?`; empty for any, also for none.
        days: only studies dated within as many days, today included; None for all, also for those without a date.

    Raises:
        ConfigError: a value is not a code of DICOM, or a modality is one of results.

    Example:
        >>> next(ImageQuery(("DX",)).filters())
        {'Modality': 'DX', 'BodyPartExamined': 'CHEST'}
    """

    modalities: tuple[str, ...] = ("CR", "DX")
    body_parts: tuple[str, ...] = ("CHEST",)
    days: int | None = None

    def __post_init__(self) -> None:
        if not self.modalities:
            raise ConfigError("no modality to query", where="--modality", expected="a list such as CR,DX")
        if results := RESULT_MODALITIES.intersection(self.modalities):
            raise ConfigError(
                "this modality is one of the results that are stored, which would be predicted again",
                where="--modality",
                expected="modalities of images, such as CR,DX",
                got=", ".join(sorted(results)),
            )
        for option, codes in (("--modality", self.modalities), ("--body-part", self.body_parts)):
            for code in codes:
                if not _CODE.fullmatch(code) or (option == "--modality" and not code.isalnum()):
                    raise ConfigError(
                        "not a code of DICOM",
                        where=option,
                        expected="up to 16 capital letters, digits, spaces and underscores",
                        got=code,
                    )
        if self.days is not None and self.days < 1:
            raise ConfigError("the number of days must be at least 1", where="--study-days", got=self.days)

    def filters(self, today: date | None = None) -> Iterator[dict[str, str]]:
        """Yield the attributes of each request: a server matches one modality and one body part at a time.

        Args:
            today: the last day; None for the current one.
        """
        dated = {}
        if self.days is not None:
            first = (today or date.today()) - timedelta(days=self.days - 1)
            dated["StudyDate"] = f"{first:%Y%m%d}-"
        for modality in self.modalities:
            for part in self.body_parts or (None,):
                body = {} if part is None else {"BodyPartExamined": part}
                yield {"Modality": modality, **body, **dated}


def parse_codes(text: str) -> tuple[str, ...]:
    """Read a list of codes.

    Args:
        text: codes, separated by commas.

    Returns:
        The codes in capital letters, without duplicates.

    Example:
        >>> parse_codes("cr, DX,CR")
        ('CR', 'DX')
    """
    codes = (code.strip().upper() for code in text.split(","))
    return tuple(dict.fromkeys(code for code in codes if code))
