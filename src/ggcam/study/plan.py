"""The runs of a study: arms x seeds x folds x numbers of training cases. Light: nothing heavy is imported here."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any, get_args

from ggcam.data.view_config import Control, ViewConfig
from ggcam.errors import ConfigError, GGCamError, RunFolderError, join_limited
from ggcam.run_folder import plain
from ggcam.training.config import TrainConfig, config_from_dict
from ggcam.utils import toml
from ggcam.utils.atomic import atomic_write

UNGUIDED = "none"
"""The guidance that does not look at gaze, and the arm that others are compared with."""

CONTROLS: tuple[Control, ...] = tuple(name for name in get_args(Control) if name != "none")
"""What can take the place of the gaze."""

VARIED = ("guidance", "seed", "view")
"""What a study decides for each of its runs; all else of their configs is shared."""

OF_THE_MACHINE = ("devices", "nodes", "strategy", "workers")
"""What is decided where a run is carried out: each takes one device, and its share of the cores."""


@dataclass(frozen=True)
class Arm:
    """What is compared: a guidance, shown the real gaze or something in its place."""

    guidance: str
    control: Control = "none"

    @property
    def name(self) -> str:
        """The guidance, and behind a plus what took the place of the gaze."""
        return self.guidance if self.control == "none" else f"{self.guidance}+{self.control}"


@dataclass(frozen=True)
class PlannedRun:
    """One training of a study.

    Attributes:
        arm: what it belongs to.
        config: all of its training.
    """

    arm: Arm
    config: TrainConfig

    @property
    def pair(self) -> tuple[int, int, int | None]:
        """Seed, fold and number of training cases: runs that share them differ in their arm alone."""
        view = self.config.view
        return self.config.seed, view.fold, view.train_cases

    @property
    def name(self) -> str:
        """Of its folder, such as "ggcam-cc+centre-n100-fold2of5-seed3"."""
        view = self.config.view
        cases = f"-n{view.train_cases}" if view.train_cases is not None else ""
        fold = f"-fold{view.fold}of{view.folds}" if view.folds else ""
        return f"{self.arm.name}{cases}{fold}-seed{self.config.seed}"


@dataclass(frozen=True)
class StudyPlan:
    """All that a study is to do.

    Attributes:
        base: config of every run, but for what is `VARIED`.
        arms: what is compared.
        seeds: of the trainings. A seed also deals out the folds, chooses the training cases and draws the controls,
            alike for all arms.
        folds: 0 keeps the split of the data; otherwise each of so many is tested on in turn.
        train_cases: numbers of training cases, at most, each a study of its own; none for all cases.
    """

    base: TrainConfig
    arms: tuple[Arm, ...]
    seeds: tuple[int, ...]
    folds: int = 0
    train_cases: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        for what, where, values in (
            ("arms", "--guidance", [arm.name for arm in self.arms]),
            ("seeds", "--seeds", self.seeds),
            ("numbers of training cases", "--train-cases", self.train_cases),
        ):
            if len(set(values)) < len(values):
                raise ConfigError(f"there are equal {what}", where=where, got=", ".join(map(str, values)))
        for what, where, values in (("arm", "--guidance", self.arms), ("seed", "--seeds", self.seeds)):
            if not values:
                raise ConfigError(f"a study needs at least one {what}", where=where)

    @property
    def runs(self) -> tuple[PlannedRun, ...]:
        """Every training, arms side by side: a study that is stopped half-way has half of the seeds of each arm."""
        every = product(self.seeds, range(max(1, self.folds)), self.train_cases or (None,), self.arms)
        return tuple(self._run(*each) for each in every)

    def _run(self, seed: int, fold: int, train_cases: int | None, arm: Arm) -> PlannedRun:
        view = ViewConfig(arm.control, self.folds, fold, train_cases, view_seed=seed)
        return PlannedRun(arm, replace(self.base, guidance=arm.guidance, seed=seed, view=view))

    @property
    def baseline(self) -> Arm:
        """No guidance; or the first arm, where all are guided."""
        return next((arm for arm in self.arms if arm.guidance == UNGUIDED), self.arms[0])

    @property
    def comparisons(self) -> tuple[tuple[tuple[Arm, Arm], ...], ...]:
        """Families of (arm, baseline): every other arm with the baseline; and a guidance with each of its controls.

        What a guidance gains over its controls it owes to where readers looked on each image.
        """
        plain_arm = {arm.guidance: arm for arm in self.arms if arm.control == "none"}
        with_baseline = [(arm, self.baseline) for arm in self.arms if arm != self.baseline]
        with_controls = [
            (plain_arm[arm.guidance], arm) for arm in self.arms if arm.control != "none" and arm.guidance in plain_arm
        ]
        return tuple(tuple(family) for family in (with_baseline, with_controls) if family)

    def shared(self) -> dict[str, Any]:
        """What all runs have in common, as TOML has it."""
        return {name: value for name, value in plain(asdict(self.base)).items() if name not in VARIED + OF_THE_MACHINE}


def plan_study(
    base: TrainConfig,
    guidances: Sequence[str],
    seeds: int,
    folds: int = 0,
    controls: bool = False,
    train_cases: Sequence[int] = (),
) -> StudyPlan:
    """Plan a study as the command line asks for it.

    Args:
        base: config of every run; the seeds count from its own.
        guidances: an arm each.
        seeds: how many trainings of each arm.
        folds: of the cross-validation; 0 for none.
        controls: whether each of `CONTROLS` is an arm too, under the first guidance that looks at gaze.
        train_cases: see :class:`StudyPlan`.

    Raises:
        ConfigError: what is asked for is no study.
    """
    if seeds < 1:
        raise ConfigError("a study needs at least one seed", where="--seeds", expected="1 or more", got=seeds)
    arms = tuple(Arm(guidance) for guidance in guidances)
    if controls:
        guided = next((arm.guidance for arm in arms if arm.guidance != UNGUIDED), None)
        if guided is None:
            raise ConfigError(
                "controls need a guidance that looks at gaze",
                where="--controls",
                expected="another guidance than none in --guidance",
                got=", ".join(guidances) or "nothing",
            )
        arms += tuple(Arm(guided, control) for control in CONTROLS)
    return StudyPlan(base, arms, tuple(range(base.seed, base.seed + seeds)), folds, tuple(train_cases))


def write_plan(path: Path, plan: StudyPlan, data: Mapping[str, str]) -> None:
    """Write study.toml: the data that are studied, the plan, and what the runs share."""
    table = {
        "data": dict(data),
        "plan": {
            "arms": [asdict(arm) for arm in plan.arms],
            "seeds": plan.seeds,
            "folds": plan.folds,
            "train_cases": plan.train_cases,
        },
        "train": plan.shared(),
    }
    atomic_write(path, toml.dumps(table))


def read_plan(path: Path) -> tuple[StudyPlan, dict[str, str]]:
    """The plan and the data of a study.toml.

    Raises:
        RunFolderError: it is missing or damaged.
    """
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
        plan = table["plan"]
        arms = tuple(Arm(str(arm["guidance"]), arm["control"]) for arm in plan["arms"])
        base = config_from_dict(table["train"], where=path)
        found = StudyPlan(base, arms, tuple(plan["seeds"]), int(plan["folds"]), tuple(plan["train_cases"]))
        return found, {"root": str(table["data"]["root"]), "sha256": str(table["data"]["sha256"])}
    except FileNotFoundError:
        raise RunFolderError("this is no study", where=path.parent, expected="study.toml in it") from None
    except (ValueError, KeyError, TypeError, GGCamError) as error:
        raise RunFolderError(
            "the study's plan is damaged", where=path, got=f"{type(error).__name__}: {error}"[:300]
        ) from error


def check_same(path: Path, plan: StudyPlan, data: Mapping[str, str]) -> None:
    """Demand that the study of `path` can be gone on with: the same data, and the same training of its runs.

    Arms, seeds, folds and numbers of training cases are part of the names of runs, so a study may be asked for more.

    Raises:
        RunFolderError: it is another one, and in the way.
    """
    there, its_data = read_plan(path)
    ours, theirs = plan.shared(), there.shared()
    other = [name for name in sorted({*ours, *theirs}) if ours.get(name) != theirs.get(name)]
    if its_data["sha256"] != data["sha256"]:
        other.insert(0, "the data")
    if other:
        raise RunFolderError(
            "there is another study in the way",
            where=path.parent,
            got=f"it differs in {join_limited(other)}",
            hint="choose another --out, or ask for what that one was asked for",
        )
