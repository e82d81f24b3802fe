"""When each image of an EyeLink recording was on the screen."""

from __future__ import annotations

import numpy as np
import pytest

from ggcam.data.sources.trackers.eyelink_images import Displays
from ggcam.data.sources.trackers.recording import Placement


def shown(*messages: tuple[float, str]) -> list[tuple[str, float, float]]:
    displays = Displays()
    for time_s, text in messages:
        if text == "START":
            displays.start(time_s)
        else:
            displays.add_message(time_s, text)
    return [(each.image, each.on_s, each.off_s) for each in displays.named("own")]


LOAD = "!V IMGLOAD CENTER pics/{}.png 10 20"


@pytest.mark.parametrize(
    "off", ["DISPLAY_OFF", "blank_screen", "!V CLEAR 0 0 0", "TRIALID 2", "TRIAL_RESULT 0", "image off"]
)
def test_an_image_is_shown_until_a_message_takes_it_away(off: str):
    assert shown((1, LOAD.format("a")), (3, off), (9, "TRIALID 3")) == [("a.png", 1, 3)]


def test_an_image_is_shown_until_the_next_one_and_the_last_one_to_the_end():
    assert shown((1, LOAD.format("a")), (2, LOAD.format("b"))) == [("a.png", 1, 2), ("b.png", 2, np.inf)]


def test_an_image_loaded_before_the_recording_appears_with_its_own_message():
    assert shown((1, LOAD.format("a")), (2, "START"), (3, "DISPLAY_ON"), (4, "SYNCTIME"), (9, "DISPLAY_OFF")) == [
        ("a.png", 3, 9)
    ]


@pytest.mark.parametrize(
    "variable",
    ["!V TRIAL_VAR image lung 1.png", "!V TRIAL_VAR trial_file lung 1.png", '!V TRIAL_VAR stimulus "x\\lung 1.png"'],
)
def test_a_variable_names_the_image_of_a_trial_without_load(variable: str):
    trial = [
        (1, "TRIALID 1"),
        (2, "START"),
        (3, "DISPLAY_ON"),
        (5, "DISPLAY_OFF"),
        (6, variable),
        (7, "TRIAL_RESULT 0"),
    ]
    assert shown(*trial) == [("lung 1.png", 3, 5)]
    assert shown(*[each for each in trial if "DISPLAY" not in each[1]]) == [("lung 1.png", 2, 7)]
    assert shown(*trial, (8, "TRIALID 2"), (9, LOAD.format("b")), (10, variable)) == [
        ("lung 1.png", 3, 5),
        ("b.png", 9, np.inf),
    ]


def test_a_variable_of_another_kind_names_nothing():
    assert shown((1, "TRIALID 1"), (2, "!V TRIAL_VAR condition hard"), (3, "TRIAL_RESULT 0")) == [
        ("own", -np.inf, np.inf)
    ]


@pytest.mark.parametrize(
    ("message", "image", "placement"),
    [
        ("CENTER a b.png 100 50 40 20", "a b.png", Placement((80, 40, 120, 60))),
        ("TOP_LEFT a.png 100 50 40 20", "a.png", Placement((100, 50, 140, 70))),
        ("CENTER a.png 100 50", "a.png", Placement(centre=(100, 50))),
        ("TOP_LEFT a.png 100 50", "a.png", Placement(corner=(100, 50))),
        ("FILL a.png", "a.png", Placement((0, 0, 200, 100))),
        ("CENTER scan 7 100 50 40 20", "scan 7", Placement((80, 40, 120, 60))),
        ("CENTER C:\\x\\a.png", "a.png", None),
    ],
)
def test_the_place_on_the_screen_is_read(message: str, image: str, placement: Placement | None):
    displays = Displays()
    displays.add_message(1.0, f"!V IMGLOAD {message}")
    (found,) = displays.named("own")
    assert found.image == image
    assert found.placement((200, 100)) == placement
