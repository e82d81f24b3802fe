"""The plan of a study: paired, complete, and read back from its file."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from itertools import product

import pytest

from ggcam.errors import ConfigError, RunFolderError
from ggcam.study.plan import CONTROLS, Arm, StudyPlan, check_same, plan_study, read_plan, write_plan
from ggcam.training.config import TrainConfig
from ggcam.utils.foreign_paths import is_file_name

BASE = TrainConfig(backbone="test_resnet", epochs=3, seed=10)
DATA = {"root": "DATA", "sha256": "0" * 64}


def test_every_combination_is_run_once_under_a_name_of_its_own():
    plan = plan_study(BASE, ["none", "ggcam-cc"], 3, folds=4, controls=True, train_cases=[20, 40])
    found = [(run.arm.name, *run.pair) for run in plan.runs]
    arms = ["none", "ggcam-cc", *(f"ggcam-cc+{control}" for control in CONTROLS)]
    assert sorted(found) == sorted(product(arms, (10, 11, 12), range(4), (20, 40)))
    assert len({run.name for run in plan.runs}) == len(found)


def test_what_is_paired_differs_in_its_arm_alone():
    plan = plan_study(BASE, ["none", "ggcam", "ggcam-cc"], 2, folds=3, controls=True, train_cases=[20])
    pairs = defaultdict(list)
    for run in plan.runs:
        assert (run.config.guidance, run.config.view.control) == (run.arm.guidance, run.arm.control)
        config = run.config
        pairs[run.pair].append(replace(config, guidance="", view=replace(config.view, control="none")))
    assert len(pairs) == 6
    for configs in pairs.values():
        assert len(configs) == len(plan.arms)
        assert all(config == configs[0] for config in configs)
        assert replace(configs[0], guidance=BASE.guidance, seed=BASE.seed, view=BASE.view) == BASE


def test_controls_stand_in_for_the_gaze_of_the_first_guidance_that_has_any():
    plan = plan_study(BASE, ["none", "ggcam", "ggcam-cc"], 1, controls=True)
    assert plan.arms[3:] == tuple(Arm("ggcam", control) for control in CONTROLS)
    none, guided = Arm("none"), Arm("ggcam")
    with_baseline, with_controls = plan.comparisons
    assert with_baseline == tuple((arm, none) for arm in plan.arms[1:])
    assert with_controls == tuple((guided, Arm("ggcam", control)) for control in CONTROLS)


def test_the_baseline_is_no_guidance_wherever_it_stands_or_else_the_first_arm():
    assert plan_study(BASE, ["ggcam", "none"], 1).baseline == Arm("none")
    assert plan_study(BASE, ["ggcam", "ggcam-cc"], 1).baseline == Arm("ggcam")
    assert plan_study(BASE, ["none"], 1).comparisons == ()


def test_arms_have_weights_and_options_of_their_own(tmp_path):
    base = replace(BASE, guidance_weight=0.5)
    tuned = (Arm("cyborg", weight=2, options=("balance=0.3",)), Arm("energy", options=("threshold=0.2",)))
    plan = plan_study(base, ["none", *tuned, replace(tuned[0], control="centre", attention="boxes")], 1)
    assert [run.name for run in plan.runs] == [
        "none-seed10",
        "cyborg[weight=2.0,balance=0.3]-seed10",
        "energy[threshold=0.2]-seed10",
        "cyborg[weight=2.0,balance=0.3]@boxes+centre-seed10",
    ]
    assert all(is_file_name(run.name) for run in plan.runs)
    assert [(run.config.guidance_weight, run.config.guidance_options) for run in plan.runs] == [
        (0.5, ()),
        (2.0, ("balance=0.3",)),
        (0.5, ("threshold=0.2",)),
        (2.0, ("balance=0.3",)),
    ]
    write_plan(tmp_path / "study.toml", plan, DATA)
    found, _ = read_plan(tmp_path / "study.toml")
    assert found.arms == plan.arms
    assert found.runs[1].config.guidance_options == ("balance=0.3",)


def test_arms_without_options_take_those_of_the_study():
    base = replace(BASE, guidance_weight=0.5, guidance_options=("balance=0.7",))
    (run,) = plan_study(base, ["cyborg"], 1).runs
    assert (run.config.guidance_weight, run.config.guidance_options) == (0.5, ("balance=0.7",))


@pytest.mark.parametrize("option", ["balance", "kind=../a", ""])
def test_an_option_that_cannot_name_a_run_is_refused(option):
    with pytest.raises(ConfigError, match=r"(?s)option of arm cyborg.*NAME=VALUE"):
        Arm("cyborg", options=(option,))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"guidances": []}, "at least one arm"),
        ({"guidances": ["none", "none"]}, "repeated arms.*none, none"),
        ({"guidances": ["none"], "controls": True}, "controls need a guidance that uses gaze"),
        ({"seeds": 0}, "at least one seed"),
        ({"train_cases": [20, 20]}, "repeated numbers of training cases"),
        ({"train_cases": [0]}, "too few training cases"),
        ({"folds": 2}, "too few folds"),
    ],
)
def test_an_impossible_plan_is_refused(changes, message):
    with pytest.raises(ConfigError, match=f"(?s){message}"):
        _ = plan_study(**({"base": BASE, "guidances": ["none", "ggcam"], "seeds": 2} | changes)).runs


def test_a_plan_is_read_back_as_it_was_written(tmp_path):
    plan = plan_study(BASE, ["none", "ggcam-cc"], 3, folds=4, controls=True, train_cases=[20, 40])
    write_plan(tmp_path / "study.toml", plan, DATA)
    found, data = read_plan(tmp_path / "study.toml")
    assert (replace(found, base=replace(found.base, seed=10)), data) == (plan, DATA)
    assert found.runs == plan.runs


def test_a_study_can_be_extended_but_not_changed(tmp_path):
    path = tmp_path / "study.toml"
    plan = plan_study(BASE, ["none", "ggcam-cc"], 3)
    write_plan(path, plan, DATA)
    check_same(path, plan_study(replace(BASE, workers=1), ["none", "ggcam"], 9, folds=3, train_cases=[9]), DATA)
    for other, data, what in (
        (plan_study(replace(BASE, epochs=4, lr=0.1), ["none"], 3), DATA, "epochs, lr"),
        (plan, DATA | {"sha256": "1" * 64}, "the data"),
    ):
        with pytest.raises(RunFolderError, match=f"(?s)holds another study.*differs in {what}"):
            check_same(path, other, data)


WHOLE = """[data]
root = "DATA"
sha256 = "0"
[plan]
arms = [{ guidance = "none", control = "none" }]
seeds = [0]
folds = 0
train_cases = []
[train]
epochs = 1
"""


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        (WHOLE, "", "key data is missing"),
        (WHOLE, "data = ", r"is damaged\n  where: .*study.toml.*\n  expected: valid TOML"),
        (WHOLE, "a = " + "[" * 100_000, "nested brackets"),
        ("seeds = [0]", "seeds = 0", r"invalid value for key plan.seeds\n.*\n  expected: a list\n  got: 0"),
        ("seeds = [0]", "seeds = [true]", r"invalid value for key plan.seeds.0\n.*\n  expected: an integer"),
        ("seeds = [0]", "seeds = []", "plan is damaged(.|\n)*at least one seed"),
        ("folds = 0", "folds = 1000000000000", "plan is damaged(.|\n)*number of folds"),
        ('control = "none"', 'control = "other"', "invalid value for key plan.arms.0.control(.|\n)*one of 'none'"),
        ('guidance = "none"', 'guidance = "../../x"', "plan is damaged(.|\n)*names are file names"),
        ("epochs = 1", "epochs = 0", "plan is damaged(.|\n)*epochs is out of range"),
    ],
)
def test_a_damaged_plan_is_refused(tmp_path, before, after, message):
    (tmp_path / "study.toml").write_text(WHOLE)
    assert len(read_plan(tmp_path / "study.toml")[0].runs) == 1
    (tmp_path / "study.toml").write_text(WHOLE.replace(before, after))
    with pytest.raises(RunFolderError, match=message):
        read_plan(tmp_path / "study.toml")
    with pytest.raises(RunFolderError, match="the folder is not a study"):
        read_plan(tmp_path / "nothing" / "study.toml")


def test_a_plan_of_one_arm_or_seed_is_still_a_plan():
    assert [run.name for run in StudyPlan(BASE, (Arm("none"),), (0,)).runs] == ["none-seed0"]


def test_the_folder_of_a_run_with_your_own_guidance_has_no_colon():
    plan = plan_study(BASE, ["my_module:MyGuidance"], 1)
    assert [(run.arm.guidance, run.name) for run in plan.runs] == [
        ("my_module:MyGuidance", "my_module.MyGuidance-seed10")
    ]


def test_an_arm_names_what_guides_it(tmp_path):
    plan = plan_study(BASE, ["none", "ggcam-cc", "ggcam-cc@boxes"], 1, controls=True)
    gaze, boxes = Arm("ggcam-cc"), Arm("ggcam-cc", attention="boxes")
    assert plan.arms[1:3] == (gaze, boxes)
    assert [run.config.view.attention for run in plan.runs[:3]] == ["auto", "auto", "boxes"]
    assert plan.runs[2].name == f"ggcam-cc@boxes-seed{BASE.seed}"
    assert Arm("ggcam-cc", "centre", "boxes").name == "ggcam-cc@boxes+centre"
    assert all(baseline.attention == "auto" for _, baseline in plan.comparisons[1])  # of the first guided arm
    write_plan(tmp_path / "study.toml", plan, {"root": "data", "sha256": ""})
    assert read_plan(tmp_path / "study.toml")[0].arms == plan.arms


def test_controls_are_those_of_the_arm_s_own_attention():
    boxes = Arm("ggcam-cc", attention="boxes")
    plan = StudyPlan(BASE, (Arm("none"), Arm("ggcam-cc"), boxes, Arm("ggcam-cc", "centre", "boxes")), (0,))
    assert plan.comparisons[1] == ((boxes, plan.arms[3]),)


def test_an_unknown_attention_is_refused():
    with pytest.raises(ConfigError, match=r"unknown attention(?s:.*)gaze-else-regions(?s:.*)ggcam-cc@box"):
        Arm.parse("ggcam-cc@box")
