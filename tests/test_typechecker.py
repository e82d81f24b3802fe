"""The checks of types and shapes that the other tests run under."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import jaxtyping
import numpy as np
import pytest
from beartype.roar import BeartypeCallHintViolation
from jaxtyping import Float

import ggcam.metrics.saliency
from typechecker import checked

if TYPE_CHECKING:
    from nowhere import Unknown  # pyright: ignore[reportMissingImports]


@checked
def total(a: Float[np.ndarray, " n"], b: Float[np.ndarray, " n"], *, factor: float = 1.0) -> Float[np.ndarray, " n"]:
    return factor * (a + b)


@checked
def cut(a: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    return a[1:]


@checked
def doubled(text: str, other: Unknown = None) -> int:
    return text * 2  # pyright: ignore[reportReturnType]


@checked
def first(values: list[int]) -> Iterator[int]:
    yield values[0]


@checked
@dataclass
class Point:
    x: float


def test_what_fits_passes():
    np.testing.assert_array_equal(total(np.ones(2), np.ones(2), factor=2), [4, 4])
    assert list(first([7])) == [7]
    assert Point(1).x == 1


@pytest.mark.parametrize(
    "call",
    [
        lambda: total(np.ones(2), np.ones(3)),
        lambda: total(np.ones(2), np.ones(2, dtype=int)),
        lambda: total(np.ones(2), np.ones(2), factor="2"),
        lambda: cut(np.ones(2)),
        lambda: doubled(2),
        lambda: doubled("2"),
        lambda: Point("1"),
    ],
)
def test_what_does_not_fit_is_refused_at_each_call_unless_checks_are_off(call, monkeypatch):
    for _ in range(2):
        with pytest.raises(BeartypeCallHintViolation):
            call()
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    try:
        call()
    except BeartypeCallHintViolation:
        pytest.fail("it is still checked")
    except (TypeError, ValueError):
        pass


def test_the_argument_of_a_generator_is_checked():
    with pytest.raises(jaxtyping.TypeCheckError):
        first(7)


def test_functions_of_the_package_are_checked():
    with pytest.raises(BeartypeCallHintViolation):
        ggcam.metrics.saliency.nss(np.ones((2, 2)), np.ones((2, 3)))
