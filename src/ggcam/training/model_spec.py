"""What network a run trains: built anew from its description, and filled with the weights that training left."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from ggcam.data.case import Frame
from ggcam.data.framing import FRAMINGS, FramingName
from ggcam.data.prepared import PreparedData
from ggcam.errors import ConfigError, RunFolderError, WeightsError
from ggcam.guidance import Guidance, create_guidance
from ggcam.guidance.original import scalars_of
from ggcam.models import original
from ggcam.models.backbones import create_backbone
from ggcam.models.cam import CAMClassifier, Reduction
from ggcam.run_folder import RunFolder
from ggcam.training.config import TrainConfig, config_from_dict


@dataclass(frozen=True)
class ModelSpec:
    """All that is needed to build the network again, but for its weights.

    Attributes:
        type: name of its backbone; where `net` is the original's, the original's name of its size, such as "50".
        class_names: of each output.
        frame: of its images.
        output_stride: as asked of the backbone.
        num_stages: as asked of the backbone.
        framing: how raw images come into the frame.
        net: name of the model's class, ours or the original's; part of file names.
        reduction: of channels in the CAM.
        multi_label: an image may belong to several classes, or to none.
    """

    type: str
    class_names: tuple[str, ...]
    frame: Frame
    output_stride: int | None = None
    net: str = "CAMClassifier"
    reduction: Reduction = "sum"
    multi_label: bool = False
    num_stages: int | None = None
    framing: FramingName = "fitted"

    @classmethod
    def from_config(cls, config: TrainConfig, data: PreparedData) -> ModelSpec:
        """Of the network that a config asks for.

        Raises:
            ConfigError: there is no such network, or the original's with another head than it had.
        """
        found = original.find(config.backbone)
        if found is None:
            net, type, own = "CAMClassifier", config.backbone, "sum"
        else:
            net, type, own = found.family.net, found.type, "mean"
            if config.reduction not in (None, own):
                raise ConfigError(
                    "the original's networks take the mean of channels", where="--reduction", expected=own, got="sum"
                )
        return cls(
            type,
            data.class_names,
            data.frame,
            config.output_stride,
            net,
            config.reduction or own,
            data.multi_label,
            config.num_stages,
            data.framing,
        )

    @property
    def released(self) -> original.OriginalNetwork | None:
        """The original network that this is; None for any other."""
        return original.named(self.net, self.type)

    def build(self, pretrained: bool = False, weights: Path | None = None) -> CAMClassifier:
        """The network with fresh (or pretrained) weights, drawn from torch's global generator.

        Raises:
            ConfigError: it cannot be built so, or its weights cannot be had.
            MissingFileError: `weights` is not there.
            WeightsError: `weights` is no file of this network of the original's.
        """
        if self.released is not None:
            original.check_plain(self.output_stride, pretrained, self.num_stages)
            if weights is not None:
                return original.load_as(self.released, weights, len(self.class_names))
            return original.create_classifier(self.released, len(self.class_names))
        backbone = create_backbone(
            self.type,
            self.frame.shape,
            output_stride=self.output_stride,
            pretrained=pretrained,
            weights=weights,
            num_stages=self.num_stages,
        )
        return CAMClassifier(backbone, len(self.class_names), self.reduction)

    def check_match(self, data: PreparedData) -> None:
        """Demand that the data have the network's classes and frame, and as many labels a case.

        Raises:
            RunFolderError: they have others.
        """
        for what, ours, theirs in (
            ("classes", ", ".join(self.class_names), ", ".join(data.class_names)),
            ("frame", self.frame, data.frame),
            (
                "labels",
                *("several a case" if several else "one a case" for several in (self.multi_label, data.multi_label)),
            ),
        ):
            if ours != theirs:
                raise RunFolderError(
                    f"the run and the data differ in their {what}", where=data.root, expected=ours, got=theirs
                )

    def to_dict(self) -> dict[str, Any]:
        """For params_<Net>_.txt."""
        original = self.released
        if original is None:
            return {**asdict(self), "in_channels": 1, "pixels": "0..1, ImageNet's mean and deviation"}
        return {
            **asdict(self),
            "results": original.family.results,
            "backbone": original.backbone,
            "in_channels": 3,
            "pixels": "divided by the image's largest; one channel stands for three equal ones",
        }

    @classmethod
    def from_run(cls, run: RunFolder) -> ModelSpec:
        """From params_<Net>_.txt.

        Raises:
            RunFolderError: the file is missing or damaged.
        """
        values = run.description
        try:
            return cls(
                type=values["type"],
                class_names=tuple(values["class_names"]),
                frame=Frame(values["frame"]["height_px"], values["frame"]["width_px"]),
                output_stride=values["output_stride"],
                net=values["net"],
                reduction=values["reduction"],
                multi_label=values.get("multi_label", False),  # older runs had one label a case
                num_stages=values.get("num_stages"),  # and whole networks
                framing=FRAMINGS[values.get("framing", "fitted")].name,
            )
        except (KeyError, TypeError) as error:
            raise RunFolderError(
                "the description of the network is damaged",
                where=run.root / "params_<Net>_.txt",
                expected="type, class_names, frame, output_stride, net and reduction",
                got=f"{type(error).__name__}: {error}",
            ) from error


def load_model(run: RunFolder) -> CAMClassifier:
    """The best network of a finished run, in evaluation mode, on the CPU.

    Raises:
        RunFolderError: training has not finished, or the weights are damaged or of another network.
    """
    if not run.weights.is_file():
        raise RunFolderError(
            "this run has no trained network yet", where=run.weights, hint=f"finish it: ggcam train --resume {run.root}"
        )
    model = ModelSpec.from_run(run).build()
    guidance = create_guidance(config_from_dict(run.settings["train"]).guidance)
    guidance.attach(model)  # it may have given the model another head
    try:
        state = original.read_state(run.weights)
        if original.is_original(model):
            original.fill(model, state)
        else:
            model.load_state_dict(state)
    except (WeightsError, RuntimeError) as error:
        raise RunFolderError(
            "the weights cannot be read into the network",
            where=run.weights,
            got=f"{type(error).__name__}: {error}"[:300],
        ) from error
    return model.eval()


def network_file(model: CAMClassifier, guidance: Guidance) -> dict[str, Tensor]:
    """What `NET.pt` holds: of an original network, what the original would load; of any other, its own state dict."""
    if original.is_original(model):
        return original.state_of(model, scalars_of(guidance))
    return model.state_dict()
