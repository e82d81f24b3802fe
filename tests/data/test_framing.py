import numpy as np
import pytest

from ggcam.data.case import Frame
from ggcam.data.framing import Fitted, Strided
from ggcam.errors import ConfigError

GREY = np.random.default_rng(0).integers(0, 256, (40, 30)).astype(np.uint8)
FRAME = Frame(64, 32)


def test_a_grey_image_is_repeated_in_a_frame_for_colours():
    framed = Fitted(FRAME, channels=3).image(GREY)
    np.testing.assert_array_equal(framed, np.stack([Fitted(FRAME).image(GREY)] * 3, axis=2))


def test_colours_become_grey_in_a_frame_for_grey_images():
    same = np.stack([GREY] * 3, axis=2)
    np.testing.assert_array_equal(Fitted(FRAME).image(same), Fitted(FRAME).image(GREY))


def test_the_originals_framing_is_for_grey_images():
    with pytest.raises(ConfigError, match="for grey images"):
        Strided(FRAME, channels=3)
