"""In a training step the host never waits for the GPU, so that the GPU always has something to do."""

from __future__ import annotations

import lightning
import pytest
import torch

from ggcam.data.augment_config import AugmentConfig
from ggcam.data.data_module import PreparedDataModule
from ggcam.data.prepared import PreparedData, load_prepared
from ggcam.guidance import create_guidance
from ggcam.models.backbones import create_backbone
from ggcam.models.cam import CAMClassifier
from ggcam.models.checkpointing import enable_gradient_checkpointing
from ggcam.training.config import TrainConfig
from ggcam.training.lightning_module import GuidedTraining
from gpu.host_waits import HostWaitError, NoHostWaits, no_host_waits
from multilabel_fixture import prepare_multilabel, write_multilabel


@pytest.fixture(scope="module")
def multi_label(tmp_path_factory) -> PreparedData:
    return prepare_multilabel(write_multilabel(tmp_path_factory.mktemp("several") / "raw"))


@pytest.mark.parametrize("several_labels", [False, True])
@pytest.mark.parametrize(
    "config",
    [
        TrainConfig(guidance="ggcam"),
        TrainConfig(guidance="ggcam-cc", checkpointing=True),
        TrainConfig(
            guidance="ggcam-cc", augment=AugmentConfig(rotate_deg=5, shift=0.05, zoom=0.1, contrast=0.1), clip_norm=0.0
        ),
    ],
    ids=["ggcam", "checkpointing", "augmentation"],
)
def test_a_training_step_has_no_host_wait(request, prepared, device, several_labels, config):
    data = request.getfixturevalue("multi_label") if several_labels else load_prepared(prepared)
    frame = data.frame.shape
    model = CAMClassifier(create_backbone("test_resnet", frame), len(data.class_names))
    if config.checkpointing:
        enable_gradient_checkpointing(model.backbone)
    module = GuidedTraining(
        model.to(memory_format=torch.channels_last), create_guidance(config.guidance), config, frame
    )
    watch = NoHostWaits(device)
    trainer = lightning.Trainer(
        max_epochs=2,
        accelerator="gpu" if device == "cuda" else "cpu",
        devices=1,
        precision="bf16-mixed",
        gradient_clip_val=config.clip_norm or None,
        callbacks=[watch],
        logger=False,
        enable_checkpointing=False,
        enable_model_summary=False,
        enable_progress_bar=False,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
    )
    loaders = PreparedDataModule(data, batch_size=6)
    trainer.fit(module, loaders.loader("train", shuffle=True), loaders.loader("valid"))
    assert watch.steps == 2 * (len(loaders.loader("train", shuffle=True)) - 1) > 2


@pytest.mark.parametrize(
    "wait",
    [
        lambda x: x.sum().item(),
        lambda x: bool((x > 0).any()),
        lambda x: x[x > 0],
        lambda x: torch.nonzero(x),
        lambda x: torch.linalg.inv(x),
        lambda x: torch.tensor([1.0, 2.0], device=x.device),
    ],
)
def test_a_host_wait_is_noticed(device, wait):
    x = torch.eye(3, device=device)
    with pytest.raises((HostWaitError, RuntimeError)), no_host_waits(device):
        wait(x)
    wait(x)  # and only inside the block
