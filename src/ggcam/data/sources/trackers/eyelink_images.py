"""Which image was on the screen when, from the messages of an EyeLink recording."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import PurePosixPath

import numpy as np

from ggcam.data.images import IMAGE_SUFFIXES
from ggcam.data.sources.trackers.recording import Placement

_LOAD = re.compile(r"!V IMGLOAD\s+(CENTER|FILL|TOP_LEFT)\s+(.*)")
_VARIABLE = re.compile(r"!V TRIAL_VAR\s+(\S+)\s+(.*)")
_VALUES = re.compile(r"!V TRIAL_VAR_DATA\s+(.*)")
_ON = re.compile(r"\b(display|image|stim|stimulus|picture)[ _]?on(set)?\b|\bSYNCTIME\b", re.IGNORECASE)
_OFF = re.compile(
    r"\b(display|image|stim|stimulus|picture)[ _]?off(set)?\b|\bblank[ _]?screen\b|!V CLEAR\b", re.IGNORECASE
)
_IMAGE_VARIABLES = ("image", "img", "picture", "stimulus", "stim", "imagefile", "imagename", "picturename")


@dataclass
class Display:
    """An image on the screen.

    Attributes:
        image: name of the image; "" if unknown.
        on_s: time at which it appeared.
        off_s: time at which it disappeared.
        trial: the trial, such as "trial 3".
        how: CENTER, TOP_LEFT or FILL; "" if unknown.
        numbers: position and size on the screen, as far as the message has them.
        awaits_onset: whether no message about its appearance has followed yet.
    """

    image: str
    on_s: float
    off_s: float = np.inf
    trial: str = ""
    how: str = ""
    numbers: list[float] = field(default_factory=list)
    awaits_onset: bool = True

    def placement(self, screen_px: tuple[int, int] | None) -> Placement | None:
        """Return where the image was on the screen.

        Args:
            screen_px: width and height of the screen; None if unknown.

        Returns:
            Its edges, or its centre or corner if its size is not told; None if nothing is told.
        """
        if self.how == "FILL" and screen_px:
            return Placement((0.0, 0.0, float(screen_px[0]), float(screen_px[1])))
        if len(self.numbers) < 2 or self.how == "FILL":
            return None
        x, y, *size = self.numbers
        if len(size) == 2 and min(size) > 0:
            left, top = (x - size[0] / 2, y - size[1] / 2) if self.how == "CENTER" else (x, y)
            return Placement((left, top, left + size[0], top + size[1]))
        return Placement(centre=(x, y)) if self.how == "CENTER" else Placement(corner=(x, y))


class Displays:
    """The displays of a recording, in the order of its messages.

    An image appears with `!V IMGLOAD`, or with the first message DISPLAY_ON, SYNCTIME or the like that follows in the
    same trial. It disappears with the next image, with DISPLAY_OFF, `!V CLEAR` or a blank screen, or with the trial. A
    trial without IMGLOAD may name its image by a variable: `!V TRIAL_VAR image NAME`.
    """

    def __init__(self) -> None:
        self.shown: list[Display] = []
        self.trial = 0
        self._unnamed = Display("", -np.inf)
        self._trial_image = ""

    def add_message(self, time_s: float, text: str) -> None:
        """Add a message.

        Args:
            time_s: its time, corrected by its offset.
            text: what it says.
        """
        if found := _LOAD.search(text):
            self._hide(time_s)
            image, numbers = _split_load(found[1], found[2])
            self.shown.append(Display(image, time_s, np.inf, f"trial {self.trial}", found[1], numbers))
        elif text.startswith(("TRIALID", "TRIAL_RESULT", "TRIAL OK")):
            self._hide(time_s, trial_ends=True)
            if text.startswith("TRIALID"):
                self._end_trial()
                self.trial += 1
        elif found := _VARIABLE.search(text):
            value = found[2].strip().strip('"')
            if _is_image(value) or re.sub("[^a-z]", "", found[1].lower()) in _IMAGE_VARIABLES:
                self._trial_image = self._trial_image or _file_name(value)
        elif found := _VALUES.search(text):
            self._trial_image = self._trial_image or next(map(_file_name, filter(_is_image, found[1].split())), "")
        elif _ON.search(text):
            display = self._current() or self._unnamed
            if display.awaits_onset:
                display.on_s, display.awaits_onset = time_s, False
        elif _OFF.search(text):
            self._hide(time_s)

    def start(self, time_s: float) -> None:
        """Note that recording starts."""
        if self._unnamed.on_s == -np.inf:
            self._unnamed.on_s = time_s

    def named(self, own_name: str) -> Iterator[Display]:
        """Yield the displays with a name.

        Args:
            own_name: name of the image if the recording names none.

        Yields:
            Displays in order of time.
        """
        self._end_trial()
        yield from sorted(self.shown, key=lambda display: display.on_s) or [Display(own_name, -np.inf)]

    def _current(self) -> Display | None:
        return self.shown[-1] if self.shown and self.shown[-1].off_s == np.inf else None

    def _hide(self, time_s: float, trial_ends: bool = False) -> None:
        display = self._current() or self._unnamed
        shown = trial_ends or bool(display.image) or not display.awaits_onset
        if shown and display.on_s < time_s < display.off_s:
            display.off_s = time_s

    def _end_trial(self) -> None:
        """Name the display of a trial without IMGLOAD by the trial's variable."""
        in_this_trial = any(display.trial == f"trial {self.trial}" for display in self.shown)
        if self._trial_image and not in_this_trial:
            self._unnamed.image, self._unnamed.trial = self._trial_image, f"trial {self.trial}"
            self.shown.append(self._unnamed)
        self._unnamed, self._trial_image = Display("", -np.inf), ""


def _split_load(how: str, text: str) -> tuple[str, list[float]]:
    """Split the name of a file, which may have blanks, from the numbers after it."""
    words = text.strip().split()
    n = 0
    while n < min(4, len(words) - 1) and re.fullmatch(r"-?\d+(\.\d+)?", words[-1 - n]):
        n += 1
    n = 0 if how == "FILL" else n if n in (0, 2, 4) else n - 1
    name = re.sub(r"(?:\s+-?\d+(?:\.\d+)?){%d}\s*$" % n, "", text) if n else text  # noqa: UP031
    return _file_name(name), [float(word) for word in words[len(words) - n :]]


def _file_name(text: str) -> str:
    return PurePosixPath(text.strip().strip('"').replace("\\", "/")).name


def _is_image(text: str) -> bool:
    return PurePosixPath(text.strip().strip('"').replace("\\", "/")).suffix.lower() in IMAGE_SUFFIXES
