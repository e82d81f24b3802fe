"""Swapped backgrounds: what is attended stays, in both images, and no label changes."""

from __future__ import annotations

import pytest
import torch

from ggcam.gaze.regions import RegionBatch
from ggcam.guidance import create_guidance
from guidance.examples import FRAME
from guidance.test_crop import Seen

WHITE, GREY, DARK = 1.0, 0.5, 0.0
TOP, BOTTOM = (slice(0, 24), slice(None)), (slice(40, 64), slice(None))
INSIDE_TOP, INSIDE_BOTTOM = (slice(0, 20), slice(None)), (slice(44, 64), slice(None))
"""The same without the soft edge."""


def images(*shades: float) -> torch.Tensor:
    return torch.stack([torch.full((1, *FRAME), shade) for shade in shades])


def regions(*areas: tuple[slice, slice] | None, labels: tuple[int, ...] | None = None) -> RegionBatch:
    """One region per case, evenly attended; None for a case without any."""
    maps = torch.zeros(len(areas), 1, *FRAME)
    for case, area in enumerate(areas):
        if area is not None:
            maps[case, 0][area] = 1
    return RegionBatch(maps, torch.tensor(labels or (-1,) * len(areas))[:, None])


def swapped(image: torch.Tensor, labels: torch.Tensor, attention: RegionBatch, progress: float = 0.0, **options: float):
    network, guidance = Seen(), create_guidance("ggcam-swap", options={"probability": 1.0, **options})
    guidance.progress = progress
    guidance.forward_pass(network, image, labels, attention)
    return network.image


CLASSES = torch.tensor([0, 1])


def test_attended_areas_of_both_images_stay_and_the_rest_is_exchanged():
    found = swapped(images(WHITE, DARK), CLASSES, regions(TOP, BOTTOM))
    assert found[0, 0][INSIDE_TOP].min() == WHITE  # what is attended in the image itself
    assert found[0, 0][INSIDE_BOTTOM].min() == WHITE  # what is attended in the other one stays out
    assert found[0, 0, 30:34].max() == DARK
    assert found[1, 0][INSIDE_TOP].max() == DARK
    assert found[1, 0][INSIDE_BOTTOM].max() == DARK
    assert found[1, 0, 30:34].min() == WHITE


def test_the_background_is_a_blend_at_the_edge_of_weak_attention():
    maps = torch.zeros(2, 1, *FRAME)
    maps[:, 0] = torch.linspace(0, 1, FRAME[0])[:, None]
    found = swapped(images(WHITE, DARK), CLASSES, RegionBatch(maps, torch.tensor([[-1], [-1]])))
    column = found[0, 0, :, 0]
    assert (column.diff() >= -1e-6).all()  # from the other image to the image itself
    assert column[0] < 0.2
    assert column[24:].min() == pytest.approx(WHITE)  # from 0.3 of the maximum on


def test_a_case_without_attention_neither_changes_nor_gives():
    found = swapped(images(WHITE, DARK, GREY), torch.tensor([0, 1, 1]), regions(TOP, None, BOTTOM))
    assert (found[1] == DARK).all()
    assert (found[2] == GREY).all()  # its partner is the case without attention
    assert found[0, 0, 30:34].max() == GREY


def test_without_attention_at_all_nothing_changes():
    image = images(WHITE, DARK)
    assert torch.equal(swapped(image, CLASSES, regions(None, None)), image)


def test_integers_are_scaled_and_floats_are_not_changed_in_place():
    image = torch.tensor([255, 0], dtype=torch.uint8)[:, None, None, None].expand(2, 1, *FRAME).contiguous()
    found = swapped(image, CLASSES, regions(TOP, BOTTOM), probability=0.0)
    assert found.min() == 0
    assert found.max() == 1
    floats = images(WHITE, DARK)
    swapped(floats, CLASSES, regions(TOP, BOTTOM))
    assert torch.equal(floats, images(WHITE, DARK))


@pytest.mark.parametrize(
    ("progress", "fading", "low", "high"), [(0.6, False, 70, 130), (0.6, True, 20, 65), (1.0, True, 0, 0)]
)
def test_the_probability_is_that_of_a_case_and_may_fall_to_0(progress: float, fading: bool, low: int, high: int):
    torch.manual_seed(0)
    image = images(WHITE, DARK).repeat(200, 1, 1, 1)
    labels, attention = torch.zeros(400, dtype=torch.long), regions(*([TOP, BOTTOM] * 200))
    found = swapped(image, labels, attention, progress, probability=0.25, fading=fading)
    assert low <= (found != image).flatten(1).any(dim=1).sum() <= high  # of 400: 100, 40 or 0 on average


def test_a_case_with_a_finding_that_has_no_attention_takes_no_part():
    """Its second finding, which nobody marked, may be anywhere."""
    labels = torch.tensor([[1.0, 1.0], [0.0, 1.0]])
    image = images(WHITE, DARK)
    assert torch.equal(swapped(image, labels, regions(TOP, BOTTOM, labels=(0, 1))), image)


def test_a_case_whose_label_is_unknown_changes_but_does_not_give():
    labels = torch.tensor([[1.0, torch.nan], [0.0, 1.0]])
    found = swapped(images(WHITE, DARK), labels, regions(TOP, BOTTOM, labels=(0, 1)))
    assert found[0, 0, 30:34].max() == DARK
    assert (found[1] == DARK).all()


def test_a_case_without_any_finding_keeps_what_another_one_attends_to():
    labels = torch.tensor([[0.0, 0.0], [0.0, 1.0]])
    found = swapped(images(WHITE, DARK), labels, regions(None, BOTTOM, labels=(-1, 1)))
    assert found[0, 0][INSIDE_BOTTOM].min() == WHITE
    assert found[0, 0][INSIDE_TOP].max() == DARK
    assert found[1, 0][INSIDE_BOTTOM].max() == DARK


def test_validation_does_not_swap():
    """It calls the network itself; the loss is that of ggcam-cc."""
    swap, plain = create_guidance("ggcam-swap", 0.5), create_guidance("ggcam-cc", 0.5)
    from guidance.examples import output_and_gaze

    output, labels, gaze = output_and_gaze()
    expected = plain(output, labels, gaze, output.logits.mean())
    assert torch.equal(swap(output, labels, gaze, output.logits.mean()).total, expected.total)
