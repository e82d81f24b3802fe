"""The network as training starts: initial weights, frozen stages, and what there is to say about both."""

from __future__ import annotations

import logging

from ggcam.models.backbones import TimmBackbone
from ggcam.models.cam import CAMClassifier
from ggcam.models.checkpointing import enable_gradient_checkpointing
from ggcam.models.freezing import freeze_stages
from ggcam.models.initial_weights import InitialWeights
from ggcam.training.config import TrainConfig
from ggcam.training.model_spec import ModelSpec
from ggcam.utils.seeding import local_seed

log = logging.getLogger(__name__)


def build_initial_model(spec: ModelSpec, config: TrainConfig, begun: bool = False) -> CAMClassifier:
    """Build the network as training starts.

    Args:
        spec: description of the network.
        config: options of the training.
        begun: whether a checkpoint has the weights, so that their file may be gone.

    Returns:
        The network, in training mode, on the CPU.

    Raises:
        ConfigError: the network cannot be built as the options ask, or its weights cannot be downloaded or do not fit.
        MissingFileError: the file of weights does not exist.
        WeightsError: the file of weights is damaged, or holds something else.
    """
    with local_seed(config.seed):
        model = spec.build(config.pretrained and not begun, None if begun else config.weights)
    freeze_stages(model.backbone, config.freeze_stages, spec.frame.shape, spec.channels)
    if config.checkpointing:
        enable_gradient_checkpointing(model.backbone)
    return model


def initial_weights(model: CAMClassifier) -> InitialWeights | None:
    """Return which weights a network started from; None for random weights and for networks of the original.

    Args:
        model: network that `build_initial_model` built.
    """
    return model.backbone.initial_weights if isinstance(model.backbone, TimmBackbone) else None


def log_initial_weights(model: CAMClassifier) -> None:
    """Log which weights a network started from: a warning if something did not fit.

    Args:
        model: network that `build_initial_model` built.
    """
    found = initial_weights(model)
    if found is not None:
        log.log(logging.INFO if found.complete else logging.WARNING, "%s", found.summary())
