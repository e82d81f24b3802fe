import torch
from hypothesis import given
from hypothesis import strategies as st

from ggcam.gaze.batch import GazeBatch
from ggcam.gaze.regions import GazeElseRegions, RegionBatch


def boxes(*slices, size=(8, 8)):
    maps = torch.zeros(len(slices), *size)
    for each, (rows, columns) in zip(maps, slices, strict=True):
        each[rows, columns] = 1
    return maps


@given(st.sampled_from([(8, 8), (4, 4), (2, 4), (1, 1), (16, 16), (3, 5)]), st.integers(0, 100))
def test_a_density_sums_to_one_on_any_grid(grid, seed):
    generator = torch.Generator().manual_seed(seed)
    regions = RegionBatch(torch.rand(2, 3, 8, 8, generator=generator), torch.zeros(2, 3, dtype=torch.long))
    torch.testing.assert_close(regions.density(grid).sum(dim=(1, 2)), torch.ones(2))


def test_the_density_is_even_within_a_box_and_twice_as_high_where_two_overlap():
    maps = boxes((slice(0, 4), slice(0, 4)), (slice(2, 4), slice(0, 4)))
    density = RegionBatch(maps[None], torch.zeros(1, 2, dtype=torch.long)).density((4, 4))[0]
    assert torch.allclose(density[:2, :2], torch.tensor([[1.0, 1.0], [2.0, 2.0]]) / 6)
    assert density[:2, :2].sum() == 1


def test_a_label_is_guided_by_its_own_regions_and_by_those_of_no_class():
    maps = boxes((slice(0, 2), slice(0, 2)), (slice(4, 6), slice(4, 6)), (slice(6, 8), slice(6, 8)))
    regions = RegionBatch(maps[None], torch.tensor([[0, 1, -1]]))
    case, label = torch.zeros(3, dtype=torch.long), torch.tensor([0, 1, 2])
    density = regions.for_labels(case, label).density((8, 8))
    own_and_free = (maps[[0, 1]] + maps[2]) / 8
    torch.testing.assert_close(density[:2], own_and_free)
    torch.testing.assert_close(density[2], maps[2] / 4)


def test_a_case_without_a_region_of_the_label_has_no_density():
    regions = RegionBatch(boxes((slice(0, 2), slice(0, 2)))[None], torch.tensor([[0]]))
    assert not regions.for_labels(torch.tensor([0]), torch.tensor([1])).density((4, 4)).any()
    assert not RegionBatch(torch.zeros(1, 0, 8, 8), torch.zeros(1, 0, dtype=torch.long)).density((4, 4)).any()


def test_gaze_comes_before_regions_for_each_case_and_for_each_label():
    points = torch.tensor([[[7.0, 7.0]], [[0.0, 0.0]]])
    weight = torch.tensor([[1.0], [0.0]])
    gaze = GazeBatch(points, weight, torch.full_like(points, 0.5), (8, 8), torch.tensor([[0], [-1]]), "own")
    regions = RegionBatch(boxes((slice(0, 2), slice(0, 2)))[None].repeat(2, 1, 1, 1), torch.tensor([[-1], [-1]]))
    density = GazeElseRegions(gaze, regions).density((8, 8))
    assert density[0].argmax() == 63 or density[0, 6:, 6:].sum() > 0.9
    torch.testing.assert_close(density[1], regions.maps[1, 0] / 4)
    both_labels = GazeElseRegions(gaze, regions).for_labels(torch.tensor([0, 0]), torch.tensor([0, 1])).density((8, 8))
    torch.testing.assert_close(both_labels[0], density[0])  # the gaze names label 0
    torch.testing.assert_close(both_labels[1], regions.maps[0, 0] / 4)
