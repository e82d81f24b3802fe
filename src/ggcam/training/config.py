"""The options of a training run. Light: nothing heavy is imported here."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from ggcam.data.augment_config import AugmentConfig
from ggcam.data.view_config import LabelCue, RegionShape, ViewConfig
from ggcam.errors import ConfigError, MissingFileError
from ggcam.utils.aliases import canonical_backbone, canonical_name
from ggcam.utils.recorded_paths import recorded_path
from ggcam.utils.structure import structure
from ggcam.utils.user_code import is_reference

MAX_SEED = 2**32 - 1
"""Seed and epoch together must fit the 64 bits of torch's generator."""

FORMER_NAMES = {
    "levels": "num_stages",
    "stop_after": "early_stop_patience",
    "lowest_lr": "min_lr",
    "arrange": "view",
    "arrange_seed": "view_seed",
}
"""Key in the run folders of earlier versions -> current name."""


@dataclass(frozen=True)
class TrainConfig:
    """Options of a training run.

    Attributes:
        guidance: how gaze enters training: none, ggcam (the published method), ggcam-cc (correlation; recommended),
            original (the published code, defects included), or a class of your own as MODULE:CLASS.
        guidance_weight: weight of the guidance term in the loss.
        guidance_options: hyper-parameters of the guidance as NAME=VALUE, such as balance=0.3; `ggcam guidances` lists
            them. Default: the guidance's own values.
        sigma_deg: standard deviation of the gaze map's Gaussian blur, in degrees of visual angle.
        sigma_px: the same in pixels of the prepared frame; overrides sigma_deg. Default: sigma_deg.
        label_gaze: with several labels per case, which fixations guide the CAM of a label: own (those that name the
            label), all (every fixation of the case), own-else-all (own if there are any, otherwise all), weighted (all,
            weighted for the label by label_cues), or auto (weighted if the data have dictations and no fixation names a
            label, otherwise own-else-all).
        label_cues: what weighted gaze goes by: prior (where the finding tends to be in the chest), words (side and
            height that the reader names), time (shortly before the reader names the finding), or several of these.
        region_shape: how the attention spreads in a box or an ellipse: filled (evenly), or gaussian (a standard
            deviation of a quarter of each side).
        backbone: name of a timm network (`ggcam backbones` lists them), also as hf-hub:timm/NAME; of one of the
            original GG-CAM's: original-resnet-18, -34, -50, -101, -152, original-effnet-s, -m, -l, -xl; or of one that
            torchxrayvision trained on chest X-rays: xrv:densenet121-res224-all, -nih, -pc, -chex, -rsna, -mimic_nb,
            -mimic_ch, xrv:resnet50-res512-all.
        reduction: how the CAM combines channels: sum, or mean as in GG-CAM. Default: mean for the original's networks,
            sum for others.
        output_stride: 8 or 16 give a CNN's CAM a finer grid than the usual stride of 32. Default: the network's own.
        num_stages: keep only the first stages of the network, counted as timm counts feature levels (of ResNet-18's 5,
            4 end with its third stage; a transformer's are its blocks). Fewer stages make the network smaller, and the
            grid of a CNN finer. Default: all.
        pretrained: start from the weights that timm or torchxrayvision provides (downloaded once).
        weights: start from a local file of weights, .pth, .pt or .safetensors; for one of the original's networks, from
            its NET.pt. Default: random weights.
        freeze_stages: fix the weights and batch norms of the first stages of a pretrained network, counted as for
            num_stages.
        backbone_lr_scale: factor on the learning rate of the backbone, which is lower for pretrained weights than for
            the new CAM head: 0.1, for example.
        epochs: maximum number of epochs.
        max_hours: start no epoch after this many hours. Default: no limit.
        batch_size: cases per batch, over all processes together.
        optimizer: adamw or adam.
        lr: peak learning rate.
        weight_decay: weight decay of the weight matrices; biases and norm layers have none.
        schedule: learning rate schedule: cosine (with a short warm-up), plateau (drops to a tenth after more than
            `patience` epochs without improvement), or constant.
        patience: epochs without improvement that the plateau schedule allows before it drops the learning rate.
        min_lr: lowest learning rate of the plateau schedule.
        reload_best: when the plateau schedule drops the learning rate, reload the weights and the optimizer state of
            the best epoch.
        early_stop_patience: stop after this many epochs without improvement. Default: train to the end.
        monitor: validation metric that decides which epoch is best: auroc (highest macro AUROC; the loss if no class
            has validation cases both with and without it), loss (lowest classification loss), or total (lowest total
            loss, as in the original; a guidance that learns its own weights moves it by these alone).
        selection: split on which the best epoch is chosen: valid; or test, to repeat published tables whose authors had
            no validation part. The metrics on the test cases are then too good; metrics.json and the reports say so.
        calibration: after training, fit a temperature that makes the probabilities match the validation cases.
        typicality: after training, describe the training images, so that prediction marks images unlike them.
        class_weights: balanced weighs the classes in the training loss by the inverse of their frequency; with several
            labels per case, the positive cases of a label by the number of negative ones per positive one.
        label_smoothing: fraction of each training target that is spread evenly over all classes, 0 to below 1.
        clip_norm: maximum norm of the gradient; 0 turns clipping off.
        precision: bf16, 32, or auto: the faster one for this network on this machine. That is measured once and kept in
            ~/.cache/ggcam; the run folder records the choice, and a resumed run keeps it.
        checkpointing: recompute most activations in the backward pass instead of storing them: about a third more
            time for a fraction of the memory.
        compile: compile the network for training: the first step takes a minute or more, later steps about a sixth
            less time with large images. Needs a C++ compiler on a CPU.
        augment: random changes of images, with their gaze.
        view: another split, fewer training cases, or a control in place of gaze.
        seed: random seed of the initial weights, the order of the cases and the augmentation.
        accelerator: auto, cpu, gpu, or another name that Lightning knows.
        devices: number of devices, or auto.
        nodes: number of machines in a distributed run.
        strategy: auto, ddp, fsdp, or another name that Lightning knows.
        cache: where decoded images are kept: auto (in memory if a split fits 4 GiB), memory, disk (in a file beside the
            prepared images, three times their size; for images that do not fit into memory, and a fast disk), none.
        workers: number of processes that decode images that are not in memory. Default: chosen by the number of
            cores.
        keep_paths: record absolute paths in the run folder. By default the path of the data is recorded relative to
            the run, or not at all if that would tell where on the machine they are; `--data` passes them then.
    """

    guidance: str = "ggcam-cc"
    guidance_weight: float = 1.0
    guidance_options: tuple[str, ...] = ()
    sigma_deg: float = 1.0
    sigma_px: float | None = None
    label_gaze: Literal["auto", "weighted", "own-else-all", "all", "own"] = "auto"
    label_cues: tuple[LabelCue, ...] = ("prior", "words", "time")
    region_shape: RegionShape = "filled"
    backbone: str = "resnet18"
    reduction: Literal["sum", "mean"] | None = None
    output_stride: int | None = None
    num_stages: int | None = None
    pretrained: bool = False
    weights: Path | None = None
    freeze_stages: int = 0
    backbone_lr_scale: float = 1.0
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
    selection: Literal["valid", "test"] = "valid"
    calibration: bool = True
    typicality: bool = True
    class_weights: Literal["none", "balanced"] = "none"
    label_smoothing: float = 0.0
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
    keep_paths: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "guidance", canonical_name(self.guidance))
        object.__setattr__(self, "backbone", canonical_backbone(self.backbone))
        may_be_zero = ("guidance_weight", "weight_decay", "min_lr", "clip_norm", "seed", "workers", "freeze_stages")
        may_be_zero += ("label_smoothing",)
        positive = ("sigma_deg", "sigma_px", "epochs", "max_hours", "batch_size", "lr", "patience", "nodes")
        positive += ("early_stop_patience", "num_stages", "backbone_lr_scale")
        for name in positive + may_be_zero:
            value = getattr(self, name)
            in_range = value is None or (math.isfinite(value) and (value > 0 or (value == 0 and name in may_be_zero)))
            if not in_range:
                raise ConfigError(
                    f"{name} is out of range",
                    where=f"--{name.replace('_', '-')}",
                    expected="a number above 0" if name in positive else "0 or more",
                    got=value,
                )
        if self.label_smoothing >= 1:
            raise ConfigError(
                "label_smoothing is out of range",
                where="--label-smoothing",
                expected="0 to below 1, such as 0.1",
                got=self.label_smoothing,
            )
        if self.backbone.startswith("xrv:") and not (self.pretrained or self.weights):
            raise ConfigError(
                f"the name {self.backbone} stands for pretrained weights",
                where="--backbone",
                hint="pass --pretrained, which downloads them unless torchxrayvision has, or --weights FILE; to train "
                "from scratch, pass --backbone densenet121 or resnet50",
            )
        if self.freeze_stages and not (self.pretrained or self.weights):
            raise ConfigError(
                "freezing needs pretrained weights: random ones would never learn",
                where="--freeze-stages",
                hint="pass --pretrained or --weights FILE, or leave --freeze-stages out",
            )
        if self.seed > MAX_SEED:
            raise ConfigError("seed is out of range", where="--seed", expected=f"at most {MAX_SEED}", got=self.seed)

    @property
    def point_selection(self) -> Literal["own-else-all", "all", "own"]:
        """How a batch selects the fixations of a label; weighted fixations have labels, and are selected by them."""
        return "own-else-all" if self.label_gaze in ("auto", "weighted") else self.label_gaze

    @property
    def monitored(self) -> str:
        """Logged name of the metric that decides which epoch is best."""
        names = {"auroc": "macro_auroc", "loss": "classification", "total": "total"}
        return f"{self.selection}/{names[self.monitor]}"

    @property
    def monitored_column(self) -> str:
        """Name of the same metric in history.csv."""
        return self.monitored.replace("/", "_")

    @property
    def monitor_mode(self) -> Literal["max", "min"]:
        """Whether the monitored metric is maximised or minimised."""
        return "max" if self.monitor == "auroc" else "min"


def read_train_config(path: Path) -> tuple[Path | None, TrainConfig]:
    """Read the options of a training run from a TOML file, such as a run's config.toml.

    Args:
        path: the file, with a table [train], and optionally `data`, the path of a prepared folder.

    Returns:
        The prepared folder that the file names, if any, and the config.

    Raises:
        MissingFileError: the file does not exist.
        ConfigError: the file is not TOML or has no table [train], or that has an unknown key or an invalid value.
    """
    try:
        settings = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise MissingFileError("the config file does not exist", where=path) from None
    except (ValueError, IsADirectoryError) as error:
        raise ConfigError(f"the config file cannot be read: {error}", where=path) from error
    train = settings.get("train")
    if not isinstance(train, dict):
        raise ConfigError("the config file has no table [train]", where=path, got=", ".join(settings) or "nothing")
    data = settings.get("data")
    if not isinstance(data, str | None):
        raise ConfigError("data must be the path of a prepared folder", where=path, expected="a string", got=repr(data))
    return (recorded_path(data, path.parent) if data is not None else None), config_from_dict(train, where=path)


def config_from_dict(values: Mapping[str, object], where: object = "the training config") -> TrainConfig:
    """Build a config from the table [train] of a TOML file. Keys of earlier versions are accepted.

    Args:
        values: content of the table.
        where: origin of the table, for messages.

    Returns:
        The config; a key that is left out has its default.

    Raises:
        ConfigError: a key is unknown, or its value has the wrong type or is out of range.
    """
    return structure(current_names(values), TrainConfig, where, table="train")


def check_user_named(guidance: str, named: str | None, where: object) -> None:
    """Check that the user has named a guidance of their own: it is never imported because a file names it.

    Args:
        guidance: name of the guidance in a file.
        named: name of the guidance that the user gave.
        where: the file, for messages.

    Raises:
        ConfigError: `guidance` is a class in a module (`MODULE:CLASS`), and the user has not named it.
    """
    if is_reference(guidance) and named != guidance:
        raise ConfigError(
            "a guidance of your own is not imported because a file names it",
            where=where,
            got=f"guidance {guidance}",
            hint=f"if you trust it, pass --guidance {guidance}",
        )


def current_names(values: Mapping[str, Any]) -> dict[str, Any]:
    """Rename the keys that a run folder of an earlier version has, in nested tables as well.

    Args:
        values: table of config.toml, or content of params_<Net>_.txt.

    Returns:
        The same values under the current names.
    """
    return {
        FORMER_NAMES.get(key, key): current_names(value) if isinstance(value, Mapping) else value
        for key, value in values.items()
    }
