"""How many processes train on a cluster, and with what."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ggcam.errors import ConfigError
from ggcam.training.ray_workers import RayWorkers, choose_workers


def cluster(*machines: dict[str, float]) -> Any:
    """Stands in for the connected module."""
    lost = {"Alive": False, "Resources": {"CPU": 64.0, "GPU": 8.0}}
    alive = [{"Alive": True, "Resources": resources} for resources in machines]
    return SimpleNamespace(nodes=lambda: [lost, *alive])


@pytest.mark.parametrize(
    ("machines", "number", "accelerator", "expected"),
    [
        ([{"CPU": 8}, {"CPU": 8}, {}], None, "auto", RayWorkers(2, 8)),
        ([{"CPU": 8}, {"CPU": 4}], None, "auto", RayWorkers(2, 4)),
        ([{"CPU": 8}, {"CPU": 4}], 4, "cpu", RayWorkers(4, 2)),
        ([{"CPU": 8, "GPU": 2}, {"CPU": 4, "GPU": 1}], None, "auto", RayWorkers(3, gpu=True)),
        ([{"CPU": 8, "GPU": 2}, {"CPU": 4}], 1, "gpu", RayWorkers(1, gpu=True)),
        ([{"CPU": 8, "GPU": 2}], None, "cpu", RayWorkers(1, 8)),
    ],
)
def test_the_processes_fit_the_machines(machines, number, accelerator, expected):
    assert choose_workers(cluster(*machines), number, accelerator) == expected


@given(st.lists(st.integers(0, 9), max_size=4), st.integers(1, 12))
def test_all_processes_have_as_many_cores_as_leave_room_for_each(cores, number):
    def room(each: int) -> int:
        return sum(count // each for count in cores)

    ray = cluster(*({"CPU": float(count)} for count in cores))
    if number > sum(cores):
        with pytest.raises(ConfigError, match=rf"no room for the processes(?s:.*){number} cores"):
            choose_workers(ray, number, "cpu")
        return
    chosen = choose_workers(ray, number, "cpu")
    assert chosen.number == number
    assert room(chosen.cores) >= number > room(chosen.cores + 1)


@pytest.mark.parametrize(
    ("number", "accelerator", "message"),
    [
        (0, "auto", "--ray-workers(?s:.*)1 or more"),
        (None, "gpu", "no room(?s:.*)1 GPUs, one per process(?s:.*)4 cores and 0 GPUs"),
        (None, "tpu", "auto, gpu or cpu"),
        (5, "auto", "no room(?s:.*)5 cores(?s:.*)a smaller number"),
    ],
)
def test_what_cannot_be_is_an_error_in_words(number, accelerator, message):
    with pytest.raises(ConfigError, match=message):
        choose_workers(cluster({"CPU": 4.0}), number, accelerator)


def test_a_cluster_without_cores_is_an_error():
    with pytest.raises(ConfigError, match="no room"):
        choose_workers(cluster({}), None, "auto")


def test_a_process_with_a_gpu_reserves_it():
    assert RayWorkers(2, gpu=True).resources == {"CPU": 1, "GPU": 1}
    assert RayWorkers(2, 3).resources == {"CPU": 3}
