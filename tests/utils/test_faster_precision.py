"""The choice between float32 and bfloat16: what counts as faster, what is timed, and what is remembered."""

import json
import math
from collections.abc import Mapping

import pytest

from ggcam.utils.faster_precision import FloatPrecision, faster_precision, shortest_times
from ggcam.utils.user_cache import cache_folder


@pytest.fixture(autouse=True)
def _cache(tmp_path, monkeypatch):
    monkeypatch.setenv("GGCAM_CACHE_DIR", str(tmp_path))


def test_the_choice_is_measured_once_for_a_key():
    calls: list[str] = []

    def measure() -> Mapping[FloatPrecision, float]:
        calls.append("measured")
        return {"32": 1.0, "bf16": 0.5}

    assert [faster_precision("speed", key, measure) for key in ("a", "a", "b")] == ["bf16"] * 3
    assert len(calls) == 2


def test_what_is_impossible_is_neither_chosen_nor_written():
    assert faster_precision("speed", "a", lambda: {"32": 1.0, "bf16": math.inf}) == "32"
    kept = json.loads((cache_folder() / "speed.json").read_text())
    assert kept == {"a": {"precision": "32", "seconds": {"32": 1.0}}}


def test_the_first_call_of_each_kind_warms_up_and_the_shortest_of_the_others_counts():
    times = {"32": iter([0.01, 0.4, 0.3, 0.4, 0.4, 0.4, 0.4]), "bf16": iter([0.01, *[0.001] * 6])}
    assert shortest_times(lambda precision: next(times[precision])) == {"32": 0.3, "bf16": 0.001}


def test_one_call_of_each_is_enough_where_they_take_long():
    calls: list[str] = []
    found = shortest_times(lambda precision: calls.append(precision) or 3.0)
    assert (found, calls) == ({"32": 3.0, "bf16": 3.0}, ["32", "bf16", "32", "bf16"])
