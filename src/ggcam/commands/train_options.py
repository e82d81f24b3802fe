"""The groups in which `--help` lists the options of a training run."""

from __future__ import annotations

from ggcam.commands.study_options import StudyTraining
from ggcam.training.config import TrainConfig

TRAIN_GROUPS: dict[str, tuple[str, ...]] = {
    "guidance": (
        "guidance",
        "guidance_weight",
        "guidance_options",
        "sigma_deg",
        "sigma_px",
        "label_gaze",
        "label_cues",
        "region_shape",
    ),
    "model": ("backbone", "reduction", "output_stride", "num_stages", "pretrained", "weights", "freeze_stages"),
    "optimization": (
        "epochs",
        "max_hours",
        "batch_size",
        "optimizer",
        "lr",
        "backbone_lr_scale",
        "weight_decay",
        "schedule",
        "patience",
        "min_lr",
        "reload_best",
        "early_stop_patience",
        "monitor",
        "selection",
        "calibration",
        "typicality",
        "class_weights",
        "label_smoothing",
        "clip_norm",
        "seed",
    ),
    "augmentation": ("augment",),
    "data view": ("view",),
    "run folder": ("keep_paths",),
    "hardware": (
        "precision",
        "checkpointing",
        "compile",
        "accelerator",
        "devices",
        "nodes",
        "strategy",
        "cache",
        "workers",
    ),
}
"""Title of a group -> fields of TrainConfig; every field is in one."""

OPTION_GROUPS = {TrainConfig: TRAIN_GROUPS, StudyTraining: TRAIN_GROUPS}
"""What `option_registry` needs."""
