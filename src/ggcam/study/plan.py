"""The runs of a study: arms x seeds x folds x numbers of training cases. Nothing heavy is imported here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any, cast, get_args

from ggcam.data.view_config import AttentionKind, Control, ViewConfig
from ggcam.errors import ConfigError, GGCamError, RunFolderError, join_limited
from ggcam.report.result_schemas import StudyFile
from ggcam.training.config import TrainConfig, config_from_dict
from ggcam.utils import toml
from ggcam.utils.aliases import canonical_name
from ggcam.utils.atomic import atomic_write
from ggcam.utils.documents import read_toml
from ggcam.utils.foreign_paths import is_file_name
from ggcam.utils.structure import plain, structure

UNGUIDED = "none"
"""The guidance that uses no gaze; it is the baseline that other arms are compared with."""

CONTROLS: tuple[Control, ...] = tuple(name for name in get_args(Control) if name != "none")
"""Controls: what can replace the gaze."""

MAX_FOLDS = 1000
"""Maximum number of folds of a cross-validation."""

VARIED_FIELDS = ("guidance", "seed", "view")
"""Fields of the training config that differ between the runs of a study; the others are shared."""

MACHINE_FIELDS = ("devices", "nodes", "strategy", "workers")
"""Fields that are set where a run is executed: each run takes one device and its share of the cores."""


@dataclass(frozen=True)
class Arm:
    """One of the alternatives that a study compares: a guidance, with real attention or with a control in its place.

    Attributes:
        guidance: name of the guidance.
        control: what replaces the attention; "none" for real attention.
        attention: what guides the CAMs; "auto" is gaze if the data have any, else regions.
        weight: weight of the guidance term of this arm; None takes that of the study.
        options: hyper-parameters of the guidance of this arm, each NAME=VALUE; empty takes those of the study.

    Raises:
        ConfigError: an option is not of this form, or cannot be part of a file name.

    Example:
        >>> Arm("cyborg", weight=2.0, options=("balance=0.3",)).name
        'cyborg[weight=2.0,balance=0.3]'
    """

    guidance: str
    control: Control = "none"
    attention: AttentionKind = "auto"
    weight: float | None = None
    options: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "guidance", canonical_name(self.guidance))
        object.__setattr__(self, "weight", None if self.weight is None else float(self.weight))
        object.__setattr__(self, "options", tuple(self.options))
        for option in self.options:
            if "=" not in option or not is_file_name(option):
                raise ConfigError(
                    f"invalid option of arm {self.guidance}", expected="NAME=VALUE, such as balance=0.3", got=option
                )

    @classmethod
    def parse(cls, text: str) -> Arm:
        """Read an arm as `ggcam study --guidance` takes it: a guidance, or guidance@attention.

        Args:
            text: such as "ggcam-cc" or "ggcam-cc@boxes".

        Returns:
            The arm, without a control.

        Raises:
            ConfigError: there is no such attention.
        """
        guidance, at, attention = text.rpartition("@")
        if not at:
            return cls(text)
        if attention not in get_args(AttentionKind):
            raise ConfigError(
                "unknown attention", where="--guidance", expected=", ".join(get_args(AttentionKind)), got=text
            )
        return cls(guidance, attention=cast(AttentionKind, attention))

    @property
    def uncontrolled(self) -> Arm:
        """The arm with real attention."""
        return replace(self, control="none")

    @property
    def name(self) -> str:
        """Name of the arm: its guidance and what it has of its own, such as "cyborg[balance=0.3]@boxes+centre"."""
        weight = () if self.weight is None else (f"weight={self.weight}",)
        own = ",".join((*weight, *self.options))
        attention = "" if self.attention == "auto" else f"@{self.attention}"
        control = "" if self.control == "none" else f"+{self.control}"
        return self.guidance + (f"[{own}]" if own else "") + attention + control

    def to_dict(self) -> dict[str, Any]:
        """Return the arm as study.toml holds it, which has no empty values."""
        return {name: value for name, value in plain(asdict(self)).items() if value not in (None, [])}


@dataclass(frozen=True)
class PlannedRun:
    """One run of a study.

    Attributes:
        arm: the arm that the run belongs to.
        config: the complete training config.
    """

    arm: Arm
    config: TrainConfig

    @property
    def pair(self) -> tuple[int, int, int | None]:
        """Seed, fold and number of training cases; runs with the same values differ only in their arm."""
        view = self.config.view
        return self.config.seed, view.fold, view.train_cases

    @property
    def name(self) -> str:
        """Name of the run's folder, such as "ggcam-cc+centre-n100-fold2of5-seed3"."""
        view = self.config.view
        cases = f"-n{view.train_cases}" if view.train_cases is not None else ""
        fold = f"-fold{view.fold}of{view.folds}" if view.folds else ""
        arm = self.arm.name.replace(":", ".")  # not every file system has colons in names
        return f"{arm}{cases}{fold}-seed{self.config.seed}"


@dataclass(frozen=True)
class StudyPlan:
    """The runs of a study.

    Attributes:
        base: training config of every run, except for the fields in `VARIED_FIELDS`.
        arms: the arms to compare.
        seeds: random seeds; each arm is trained once per seed. A seed also decides the folds, the choice of training
            cases and the controls, identically for all arms.
        folds: number of cross-validation folds, each of which is the test split once; 0 keeps the split of the data.
        train_cases: maximum numbers of training cases; each is compared separately. Empty for all cases.

    Raises:
        ConfigError: arms, seeds or numbers of training cases are repeated, or there are no arms or seeds.
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
                raise ConfigError(f"repeated {what}", where=where, got=", ".join(map(str, values)))
        for what, where, values in (("arm", "--guidance", self.arms), ("seed", "--seeds", self.seeds)):
            if not values:
                raise ConfigError(f"a study needs at least one {what}", where=where)
        if not 0 <= self.folds <= MAX_FOLDS:
            raise ConfigError("invalid number of folds", where="--folds", expected=f"0 to {MAX_FOLDS}", got=self.folds)

    @property
    def runs(self) -> tuple[PlannedRun, ...]:
        """All runs, seed by seed: a study that is interrupted half-way has half of the seeds of every arm."""
        every = product(self.seeds, range(max(1, self.folds)), self.train_cases or (None,), self.arms)
        return tuple(self._run(*each) for each in every)

    def _run(self, seed: int, fold: int, train_cases: int | None, arm: Arm) -> PlannedRun:
        view = ViewConfig(arm.control, self.folds, fold, train_cases, view_seed=seed, attention=arm.attention)
        own: dict[str, Any] = {} if arm.weight is None else {"guidance_weight": arm.weight}
        if arm.options:
            own["guidance_options"] = arm.options
        return PlannedRun(arm, replace(self.base, guidance=arm.guidance, seed=seed, view=view, **own))

    @property
    def baseline(self) -> Arm:
        """The arm without guidance, or the first arm if all are guided."""
        return next((arm for arm in self.arms if arm.guidance == UNGUIDED), self.arms[0])

    @property
    def comparisons(self) -> tuple[tuple[tuple[Arm, Arm], ...], ...]:
        """Families of pairs (arm, baseline) whose p-values are adjusted together.

        The first family compares every other arm with the baseline, the second one a guidance with each of its
        controls: a gain over the controls is due to where readers looked in each image.
        """
        with_baseline = [(arm, self.baseline) for arm in self.arms if arm != self.baseline]
        with_controls = [
            (arm.uncontrolled, arm) for arm in self.arms if arm.control != "none" and arm.uncontrolled in self.arms
        ]
        return tuple(tuple(family) for family in (with_baseline, with_controls) if family)

    def shared(self) -> dict[str, Any]:
        """Return the config fields that all runs share, with values that TOML can hold."""
        shared = {
            name: value
            for name, value in plain(asdict(self.base)).items()
            if name not in VARIED_FIELDS + MACHINE_FIELDS
        }
        if self.base.weights is not None and not self.base.keep_paths:
            shared["weights"] = self.base.weights.name
        return shared


def plan_study(
    base: TrainConfig,
    guidances: Sequence[str | Arm] = ("none", "ggcam", "ggcam-cc"),
    seeds: int = 6,
    *,
    folds: int = 0,
    controls: bool = False,
    train_cases: Sequence[int] = (),
) -> StudyPlan:
    """Plan a study for :func:`ggcam.run_study`.

    Args:
        base: training config of every run. Its guidance and view are replaced, and the seeds count up from its seed.
        guidances: names of the guidances; each is an arm. "ggcam-cc@boxes" is guided by boxes even if there is gaze;
            the other kinds of attention are those of `ggcam train --attention`. An :class:`Arm` may have a weight and
            options of its own.
        seeds: number of seeds, and so of runs per arm; at least 6 for a test of the differences between runs.
        folds: number of cross-validation folds by patient; 0 keeps the split of the data.
        controls: also compare with shuffled attention (also within classes), centre, lung mask and random map, each
            with the first guidance that uses attention.
        train_cases: maximum numbers of training cases, for a learning curve. Default: all cases.

    Returns:
        The plan; its `runs` lists all runs.

    Raises:
        ConfigError: an arm or a number of training cases is repeated, there are no arms or seeds, or controls are
            requested without a guidance that uses gaze.

    Example:
        >>> import ggcam
        >>> plan = ggcam.plan_study(ggcam.TrainConfig(epochs=10), ["none", "ggcam-cc"], seeds=2)
        >>> [run.name for run in plan.runs]
        ['none-seed0', 'ggcam-cc-seed0', 'none-seed1', 'ggcam-cc-seed1']
    """
    if seeds < 1:
        raise ConfigError("a study needs at least one seed", where="--seeds", expected="1 or more", got=seeds)
    arms = tuple(each if isinstance(each, Arm) else Arm.parse(each) for each in guidances)
    if controls:
        guided = next((arm for arm in arms if arm.guidance != UNGUIDED), None)
        if guided is None:
            raise ConfigError(
                "controls need a guidance that uses gaze",
                where="--controls",
                expected="a guidance other than none in --guidance",
                got=", ".join(arm.name for arm in arms) or "nothing",
            )
        arms += tuple(replace(guided, control=control) for control in CONTROLS)
    return StudyPlan(base, arms, tuple(range(base.seed, base.seed + seeds)), folds, tuple(train_cases))


def write_plan(path: Path, plan: StudyPlan, data: Mapping[str, str]) -> None:
    """Write study.toml: the identity of the data, the plan, and the shared training config.

    Args:
        path: file to write.
        plan: plan of the study.
        data: root and SHA-256 digest of the prepared folder.
    """
    table = {
        "data": dict(data),
        "plan": {
            "arms": [arm.to_dict() for arm in plan.arms],
            "seeds": plan.seeds,
            "folds": plan.folds,
            "train_cases": plan.train_cases,
        },
        "train": plan.shared(),
    }
    atomic_write(path, toml.dumps(table))


def read_plan(path: Path) -> tuple[StudyPlan, dict[str, str]]:
    """Read study.toml.

    Args:
        path: file to read.

    Returns:
        The plan, and the root and SHA-256 digest of the prepared folder.

    Raises:
        RunFolderError: the file is missing or damaged.
    """
    if not path.is_file():
        raise RunFolderError("the folder is not a study", where=path.parent, expected="a file study.toml in it")
    table = structure(read_toml(path, RunFolderError), StudyFile, path, error=RunFolderError)
    planned = table["plan"]
    try:
        arms = tuple(Arm(**{**arm, "options": tuple(arm.get("options", ()))}) for arm in planned["arms"])
        base = config_from_dict(table["train"], where=path)
        found = StudyPlan(base, arms, tuple(planned["seeds"]), planned["folds"], tuple(planned["train_cases"]))
        names = [run.name for run in found.runs]
    except GGCamError as error:
        raise RunFolderError("the study's plan is damaged", where=path, got=str(error)) from None
    if invalid := [name for name in names if not is_file_name(name)]:
        raise RunFolderError(
            "the study's plan is damaged", where=path, expected="runs whose names are file names", got=invalid[0]
        )
    return found, {"root": table["data"]["root"], "sha256": table["data"]["sha256"]}


def check_same(path: Path, plan: StudyPlan, data: Mapping[str, str]) -> None:
    """Check that an existing study can be continued: it has the same data and the same training config.

    Arms, seeds, folds and numbers of training cases may differ: they are part of the names of the runs.

    Args:
        path: study.toml of the existing study.
        plan: the new plan.
        data: root and SHA-256 digest of the new prepared folder.

    Raises:
        RunFolderError: the data or the training config differ, or the file is damaged.
    """
    existing, existing_data = read_plan(path)
    ours, theirs = plan.shared(), existing.shared()
    different = [name for name in sorted({*ours, *theirs}) if ours.get(name) != theirs.get(name)]
    if existing_data["sha256"] != data["sha256"]:
        different.insert(0, "the data")
    if different:
        raise RunFolderError(
            "the output folder holds another study",
            where=path.parent,
            got=f"a study that differs in {join_limited(different)}",
            hint="choose another --out, or continue that study with its own settings",
        )
