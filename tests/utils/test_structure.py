"""Parsed JSON and TOML are checked against a schema; the error names the key."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, NotRequired, TypedDict

import pytest

from ggcam.errors import RunFolderError
from ggcam.utils.structure import plain, structure


class Metric(TypedDict):
    value: float | None
    low: NotRequired[float]


class Content(TypedDict):
    split: Literal["train", "test"]
    cases: int
    metrics: dict[str, Metric]
    matrix: NotRequired[list[list[int]]]


WHOLE = {"split": "test", "cases": 3, "metrics": {"auroc": {"value": 1}, "f1": {"value": None, "low": 0.5}}}


def test_valid_content_is_kept_with_further_keys():
    content = {**WHOLE, "matrix": [[1, 2], [3, 4]], "later": {"a": 1}}
    assert structure(content, Content) == content


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"split": "dev"}, r"invalid value for key split\n(.|\n)*expected: one of 'train', 'test'\n  got: 'dev'"),
        ({"cases": "3"}, r"key cases\n(.|\n)*expected: an integer\n  got: '3'"),
        ({"cases": True}, r"key cases\n(.|\n)*expected: an integer\n  got: True"),
        ({"cases": 10**30}, r"key cases\n(.|\n)*expected: an integer"),
        ({"metrics": [1]}, r"key metrics\n(.|\n)*expected: a table of keys and values\n  got: \[1\]"),
        ({"metrics": {"f1": 3}}, r"key metrics.f1\n(.|\n)*expected: a table of keys and values\n  got: 3"),
        ({"metrics": {"f1": {}}}, r"the key metrics.f1.value is missing\n(.|\n)*expected: a finite number"),
        ({"metrics": {"f1": {"value": float("inf")}}}, r"key metrics.f1.value\n(.|\n)*a finite number\n  got: inf"),
        ({"metrics": {"f1": {"value": 10**400}}}, r"key metrics.f1.value\n(.|\n)*a finite number"),
        ({"metrics": {"f1": {"value": 1, "low": None}}}, r"key metrics.f1.low\n(.|\n)*got: None"),
        ({"matrix": "12"}, r"key matrix\n(.|\n)*expected: a list\n  got: '12'"),
        ({"matrix": [[1], "12"]}, r"key matrix.1\n(.|\n)*expected: a list"),
        ({"matrix": [[1], [0, 1.5]]}, r"key matrix.1.1\n(.|\n)*expected: an integer\n  got: 1.5"),
    ],
)
def test_invalid_content_is_refused_with_the_key(change: dict, message: str):
    with pytest.raises(RunFolderError, match=message) as caught:
        structure({**WHOLE, **change}, Content, "a.json", error=RunFolderError, hint="write it again")
    assert "where: a.json" in str(caught.value)
    assert "hint: write it again" in str(caught.value)
    assert len(str(caught.value)) < 600


@dataclass(frozen=True)
class _Options:
    weights: Path | None = None
    freeze: tuple[tuple[str, float], ...] = ()


@pytest.mark.parametrize("options", [_Options(), _Options(Path("a/b.pt"), (("head", 0.5), ("stem", 1.0)))])
def test_what_was_made_plain_becomes_the_same_dataclass_again(options: _Options):
    content = plain(asdict(options))
    assert set(map(type, content.values())) <= {type(None), str, list}
    assert structure(content, _Options) == options
