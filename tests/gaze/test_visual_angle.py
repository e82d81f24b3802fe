import pytest

from ggcam.gaze.visual_angle import FALLBACK_IMAGE_SIDE_DEG, fallback_px_per_degree


@pytest.mark.parametrize("image_size", [(1536, 1280), (1280, 1536)])
def test_the_longer_side_spans_the_fallback_angle(image_size):
    assert fallback_px_per_degree(image_size) * FALLBACK_IMAGE_SIDE_DEG == pytest.approx(1536)
