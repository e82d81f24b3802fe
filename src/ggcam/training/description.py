"""What network a run trains: built anew from its description, and filled with the weights that training left."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from ggcam.data.case import Frame
from ggcam.data.prepared import PreparedData
from ggcam.errors import RunFolderError
from ggcam.guidance import create_guidance
from ggcam.models.backbones import create_backbone
from ggcam.models.cam import CAMClassifier
from ggcam.run_folder import RunFolder
from ggcam.training.config import config_from_dict


@dataclass(frozen=True)
class ModelDescription:
    """All that is needed to build the network again, but for its weights.

    Attributes:
        type: name of its backbone.
        class_names: of each output.
        frame: of its images.
        output_stride: as asked of the backbone.
        net: name of the model's class; part of file names.
    """

    type: str
    class_names: tuple[str, ...]
    frame: Frame
    output_stride: int | None = None
    net: str = "CAMClassifier"

    def build(self, pretrained: bool = False, weights: Path | None = None) -> CAMClassifier:
        """The network with fresh (or pretrained) weights, drawn from torch's global generator."""
        backbone = create_backbone(
            self.type,
            (self.frame.height_px, self.frame.width_px),
            output_stride=self.output_stride,
            pretrained=pretrained,
            weights=weights,
        )
        return CAMClassifier(backbone, len(self.class_names))

    def demand_match(self, data: PreparedData) -> None:
        """Demand that the data have the network's classes and frame.

        Raises:
            RunFolderError: they have others.
        """
        for what, ours, theirs in (
            ("classes", ", ".join(self.class_names), ", ".join(data.class_names)),
            ("frame", self.frame, data.frame),
        ):
            if ours != theirs:
                raise RunFolderError(
                    f"the run and the data differ in their {what}", where=data.root, expected=ours, got=theirs
                )

    def to_dict(self) -> dict[str, Any]:
        """For params_<Net>_.txt."""
        return {**asdict(self), "in_channels": 1, "reduction": "sum", "pixels": "0..1, ImageNet's mean and deviation"}

    @classmethod
    def of(cls, run: RunFolder) -> ModelDescription:
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
            )
        except (KeyError, TypeError) as error:
            raise RunFolderError(
                "the description of the network is damaged",
                where=run.root / "params_<Net>_.txt",
                expected="type, class_names, frame, output_stride and net",
                got=f"{type(error).__name__}: {error}",
            ) from error


def load_model(run: RunFolder) -> CAMClassifier:
    """The best network of a finished run, in evaluation mode, on the CPU.

    Raises:
        RunFolderError: training has not finished, or the weights are damaged or of another network.
    """
    if not run.network.is_file():
        raise RunFolderError(
            "this run has no trained network yet", where=run.network, fix=f"finish it: ggcam train --resume {run.root}"
        )
    model = ModelDescription.of(run).build()
    guidance = create_guidance(config_from_dict(run.settings["train"]).guidance)
    guidance.attach(model)  # it may have given the model another head
    try:
        model.load_state_dict(torch.load(run.network, map_location="cpu", weights_only=True))
    except Exception as error:  # torch raises a dozen kinds for a damaged file
        raise RunFolderError(
            "the weights cannot be read into the network",
            where=run.network,
            got=f"{type(error).__name__}: {error}"[:300],
        ) from error
    return model.eval()
