"""NAME=VALUE becomes an argument of its type and range, or an error in words."""

from __future__ import annotations

from typing import Literal

import pytest

from ggcam.errors import ConfigError
from ggcam.guidance import GUIDANCES, Guidance, create_guidance
from ggcam.guidance.options import check_options, hyperparameters, parse_options


class Mine(Guidance):
    """A guidance with each kind of option."""

    def __init__(
        self,
        weight: float = 1.0,
        count: int = 3,
        rate: float = 0.5,
        on: bool = False,
        kind: Literal["a", "b"] = "a",
        order: Literal[1, 2] = 1,
        word: str = "x",
        plain=0.25,
        **others: object,
    ):
        super().__init__(weight)


class Demanding(Guidance):
    """A guidance with an option without a default."""

    def __init__(self, weight: float = 1.0, *, power: float):
        super().__init__(weight)


def test_pairs_are_split_at_the_first_equals_sign():
    assert parse_options(["a=1", " b = x=y "]) == {"a": "1", "b": "x=y"}


@pytest.mark.parametrize("pair", ["a", "=1", "a=", ""])
def test_what_is_no_pair_is_refused(pair):
    with pytest.raises(ConfigError, match=r"(?s)--guidance-options.*NAME=VALUE"):
        parse_options([pair])


def test_a_name_twice_is_refused():
    with pytest.raises(ConfigError, match="each name once"):
        parse_options(["a=1", "a=2"])


def test_values_get_the_type_of_the_annotation_or_of_the_default():
    text = {"count": "4", "rate": "1e-2", "on": "True", "kind": "b", "order": "2", "word": "3", "plain": "0.5"}
    typed = {"count": 4, "rate": 0.01, "on": True, "kind": "b", "order": 2, "word": "3", "plain": 0.5}
    for options in (text, typed):
        found = check_options(Mine, options, "mine")
        assert found == typed
        assert {name: type(value) for name, value in found.items()} == {
            name: type(value) for name, value in typed.items()
        }


@pytest.mark.parametrize(
    ("option", "value", "expected"),
    [
        ("count", "3.5", "an integer"),
        ("rate", "fast", "a number"),
        ("rate", "nan", "a number"),
        ("rate", "inf", "a number"),
        ("rate", True, "a number"),
        ("on", "1", "true or false"),
        ("kind", "c", "a, b"),
        ("order", "3", "1, 2"),
    ],
)
def test_a_value_of_the_wrong_type_is_refused(option, value, expected):
    with pytest.raises(ConfigError, match=f"(?s)invalid value for option {option}.*{expected}"):
        check_options(Mine, {option: value}, "mine")


@pytest.mark.parametrize(
    ("name", "option", "value", "expected"),
    [
        ("cyborg", "balance", "1.5", "0 to 1"),
        ("energy", "threshold", "-0.1", "0 to 1"),
        ("unet", "width", "0", "an integer of 1 or more"),
        ("ggcam", "sharpness", "0", "a number above 0"),
        ("rrr", "strength", "-1", "a number of 0 or more"),
        ("ggcam", "alignment", "dice", "cc, mse, bce, kl, nss, ssim"),
    ],
)
def test_a_value_out_of_range_is_refused(name, option, value, expected):
    with pytest.raises(ConfigError, match=f"(?s)invalid value for option {option}.*{expected}"):
        create_guidance(name, options={option: value})


def test_an_unknown_option_lists_the_known_ones():
    with pytest.raises(ConfigError, match=r"(?s)cyborg has no option balanse.*balance=0.5"):
        create_guidance("cyborg", options={"balanse": 1})
    with pytest.raises(ConfigError, match=r"(?s)none has no option a.*no option"):
        create_guidance("none", options={"a": 1})


def test_an_option_without_a_default_is_required():
    with pytest.raises(ConfigError, match="needs the option power"):
        check_options(Demanding, {}, "demanding")
    assert check_options(Demanding, {"power": "2"}, "demanding") == {"power": 2.0}


@pytest.mark.parametrize("name", GUIDANCES)
def test_every_default_is_a_value_that_is_accepted(name):
    defaults = {option: str(each.default) for option, each in hyperparameters(GUIDANCES[name]).items()}
    for option, value in defaults.items():
        guidance = create_guidance(name, options={option: value})
        kept = getattr(guidance, option, None)
        if isinstance(kept, int | float):  # initial values of parameters are kept in another form
            assert str(kept) == value


def test_the_weight_is_no_option_and_neither_are_other_arguments():
    assert list(hyperparameters(Mine)) == ["count", "rate", "on", "kind", "order", "word", "plain"]
