"""Everything about a training run that a user can choose. Light: nothing heavy is imported here."""

from __future__ import annotations

import math
import tomllib
import types
from collections.abc import Mapping
from dataclasses import dataclass, field, is_dataclass
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from ggcam.data.augment_config import AugmentConfig
from ggcam.data.view_config import ViewConfig
from ggcam.errors import ConfigError, MissingFileError

MAX_SEED = 2**32 - 1
"""Seed and epoch together must fit the 64 bits of torch's generator."""


@dataclass(frozen=True)
class TrainConfig:
    """A training run.

    Attributes:
        guidance: how gaze enters: none, ggcam (the published method), ggcam-cc (correlation; recommended), original
            (the published code, defects included).
        guidance_weight: of the guidance term in the loss.
        sigma_deg: blur of the gaze map in degrees of visual angle.
        sigma_px: the same in pixels of the prepared frame; overrides sigma_deg.
        label_gaze: where a case may have several labels, which gaze guides the CAM of each that it has: own (the
            fixations that name it), all (the whole gaze of the case), or own-else-all (its own where it has any).
        backbone: any timm network; or one of the original GG-CAM's: original-resnet-18, -34, -50, -101, -152,
            original-effnet-s, -m, -l, -xl.
        reduction: of channels in the CAM: sum, or mean as in GG-CAM; None takes the network's own (timm: sum).
        output_stride: 8 or 16 give a CNN's CAM a finer grid than its native stride of 32.
        num_stages: keep so many of the levels of features that timm counts (of ResNet-18's 5, 4 end with its third stage; a
            transformer's are its blocks); None keeps all. Fewer make a smaller network, and a CNN's grid finer.
        pretrained: start from the weights that timm names (needs a network connection).
        weights: start from a local file of such weights; for a network of the original's, from its NET.pt.
        epochs: at most so many.
        max_hours: no epoch begins after so much time; None knows no limit.
        batch_size: over all processes together.
        optimizer: adamw or adam.
        lr: peak learning rate.
        weight_decay: of the weight matrices; biases and norms are left alone.
        schedule: cosine (with a short warm-up), plateau (a tenth after more than `patience` epochs without gain), or
            constant.
        patience: epochs without gain that the plateau schedule lets pass before it drops the rate.
        min_lr: the plateau schedule goes no lower.
        reload_best: when the rate drops, the plateau schedule goes back to the best epoch's weights and optimizer.
        early_stop_patience: epochs without gain before training stops; None goes on to the end.
        monitor: which epoch is best, on validation: highest macro AUROC, lowest classification loss, or lowest total
            loss (as the original: where a guidance learns weights of its own, that moves with these alone).
        clip_norm: largest norm of the gradient; 0 leaves it alone.
        precision: bf16, 32, or auto (bf16 where the device gains).
        checkpointing: compute most activations again on the way back instead of keeping them: about a third more time
            for a fraction of the memory.
        compile: compile the network for training: a minute or more at the first step, then about a sixth less time a
            step where images are large. On a CPU that takes a C++ compiler.
        augment: how images and gaze may be changed together.
        view: another split, fewer training cases, or something else in the place of gaze.
        seed: decides weights, order and augmentation.
        accelerator: auto, cpu, gpu, ... as Lightning knows them.
        devices: how many, or auto.
        nodes: machines in a distributed run.
        strategy: auto, ddp, fsdp, ... as Lightning knows them.
        cache: keep decoded images: auto (in memory when a split fits 4 GiB), memory, disk (in a file beside the
            prepared images, three times their size: where they do not fit into memory and the disk is fast), none.
        workers: processes that decode images which are not in memory; None chooses by the number of cores.
    """

    guidance: str = "ggcam-cc"
    guidance_weight: float = 1.0
    sigma_deg: float = 1.0
    sigma_px: float | None = None
    label_gaze: Literal["own-else-all", "all", "own"] = "own-else-all"
    backbone: str = "resnet18"
    reduction: Literal["sum", "mean"] | None = None
    output_stride: int | None = None
    num_stages: int | None = None
    pretrained: bool = False
    weights: Path | None = None
    epochs: int = 25
    max_hours: float | None = None
    batch_size: int = 32
    optimizer: Literal["adamw", "adam"] = "adamw"
    lr: float = 1e-3
    weight_decay: float = 0.05
    schedule: Literal["cosine", "plateau", "constant"] = "cosine"
    patience: int = 10
    min_lr: float = 0.0
    reload_best: bool = False
    early_stop_patience: int | None = None
    monitor: Literal["auroc", "loss", "total"] = "auroc"
    clip_norm: float = 1.0
    precision: Literal["auto", "bf16", "32"] = "auto"
    checkpointing: bool = False
    compile: bool = False
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    view: ViewConfig = field(default_factory=ViewConfig)
    seed: int = 0
    accelerator: str = "auto"
    devices: str = "auto"
    nodes: int = 1
    strategy: str = "auto"
    cache: Literal["auto", "memory", "disk", "none"] = "auto"
    workers: int | None = None

    def __post_init__(self) -> None:
        positive = (
            "sigma_deg",
            "sigma_px",
            "epochs",
            "max_hours",
            "batch_size",
            "lr",
            "patience",
            "early_stop_patience",
        )
        positive += ("nodes", "num_stages")
        not_negative = ("guidance_weight", "weight_decay", "min_lr", "clip_norm", "seed", "workers")
        for name in positive + not_negative:
            value = getattr(self, name)
            if value is not None and not (
                math.isfinite(value) and (value > 0 or (value == 0 and name in not_negative))
            ):
                raise ConfigError(
                    f"{name} cannot be {value}",
                    where=f"--{name.replace('_', '-')}",
                    expected="a number above 0" if name in positive else "0 or more",
                )
        if self.seed > MAX_SEED:
            raise ConfigError("the seed is too large", where="--seed", expected=f"{MAX_SEED} at most", got=self.seed)

    @property
    def monitored(self) -> str:
        """Name of the validation metric that decides which epoch is best."""
        names = {"auroc": "valid/macro_auroc", "loss": "valid/classification", "total": "valid/total"}
        return names[self.monitor]

    @property
    def monitor_mode(self) -> Literal["max", "min"]:
        """Whether more of it is better."""
        return "max" if self.monitor == "auroc" else "min"


def read_train_config(path: Path) -> tuple[Path | None, TrainConfig]:
    """Read a TOML file: the prepared folder it names, if any, and its table [train].

    Raises:
        MissingFileError: it is not there.
        ConfigError: it is no TOML, has no such table, or an unknown key or a wrong value in it.
    """
    try:
        settings = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise MissingFileError("the config file is not there", where=path) from None
    except (ValueError, IsADirectoryError) as error:
        raise ConfigError(f"the config file cannot be read: {error}", where=path) from error
    train = settings.get("train")
    if not isinstance(train, dict):
        raise ConfigError("the config file has no table [train]", where=path, got=", ".join(settings) or "nothing")
    data = settings.get("data")
    if not isinstance(data, str | None):
        raise ConfigError("data is the path of a prepared folder", where=path, expected="text", got=repr(data))
    return (Path(data) if data is not None else None), config_from_dict(train, where=path)


def config_from_dict(values: Mapping[str, object], where: object = "the training config") -> TrainConfig:
    """Rebuild a config from TOML.

    Args:
        values: of the table [train].
        where: it comes from, for messages.

    Raises:
        ConfigError: a key that does not exist, or a value of another type than its key's, or out of its range.
    """
    return TrainConfig(**_checked(TrainConfig, values, "", where))


def _checked(config: type, values: Mapping[str, object], prefix: str, where: object) -> dict[str, Any]:
    """The values as the fields of a config take them, once each key and each type has been found right."""
    kinds = get_type_hints(config)
    unknown = [prefix + key for key in values if key not in kinds]
    if unknown:
        raise ConfigError(f"unknown key {', '.join(unknown)}", where=where, expected=", ".join(sorted(kinds)))
    return {key: _of_kind(value, kinds[key], prefix + key, where) for key, value in values.items()}


def _of_kind(value: Any, kind: Any, key: str, where: object) -> Any:
    """A TOML value as a field's type has it: text for a path, a whole number for a float, a table for a config."""
    if is_dataclass(kind) and isinstance(kind, type):
        if not isinstance(value, Mapping):
            raise ConfigError(f"{key} is a table", where=where, expected=f"[train.{key}]", got=repr(value))
        return kind(**_checked(kind, value, f"{key}.", where))
    kinds = _alternatives(kind)
    if Path in kinds and isinstance(value, str):
        return Path(value)
    choices = _choices(kinds)
    if choices:
        fits = value in choices
    else:
        number = isinstance(value, int | float) and float in kinds
        fits = isinstance(value, kinds) or number
        fits = fits and (not isinstance(value, bool) or bool in kinds)  # Python counts true as 1
    if not fits:
        raise ConfigError(f"{key} cannot be {value!r}", where=where, expected=_in_words(kind))
    return value


def _in_words(kind: Any) -> str:
    choices = _choices(_alternatives(kind))
    if choices:
        return f"one of {', '.join(repr(choice) for choice in choices)}"
    words = {int: "a whole number", float: "a number", bool: "true or false", str: "text in quotes", Path: "a path"}
    return " or ".join(words[each] for each in _alternatives(kind) if each in words)


def _choices(kinds: tuple[Any, ...]) -> tuple[Any, ...]:
    return next((get_args(kind) for kind in kinds if get_origin(kind) is Literal), ())


def _alternatives(kind: Any) -> tuple[Any, ...]:
    return get_args(kind) if get_origin(kind) in (types.UnionType, Union) else (kind,)
