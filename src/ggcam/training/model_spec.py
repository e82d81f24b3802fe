"""Description of a network, from which it is built again, and the weights that a run keeps of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from torch import Tensor

from ggcam.data.bit_depth import ALL_BITS
from ggcam.data.case import Frame
from ggcam.data.class_names import check_class_names
from ggcam.data.framing import FRAMINGS, FramingName
from ggcam.errors import ConfigError, RunFolderError
from ggcam.guidance import Guidance, create_guidance, guidance_class
from ggcam.guidance.options import parse_options
from ggcam.guidance.original import export_scalars
from ggcam.models import original, original_weights
from ggcam.models.backbones import create_backbone
from ggcam.models.cam import CAMClassifier, Reduction, imagenet_statistics
from ggcam.models.heads import HEADS
from ggcam.models.pixel_statistics import native_statistics
from ggcam.report.result_schemas import ModelFile
from ggcam.training.config import TrainConfig, current_names
from ggcam.utils.structure import structure

if TYPE_CHECKING:  # it imports pandas, which a network is built without
    from ggcam.data.prepared import PreparedData


@dataclass(frozen=True)
class ModelSpec:
    """Description of a network: everything needed to build it again, except its weights.

    Attributes:
        type: name of the backbone; for a network of the original GG-CAM, the original's name of its size, such as "50".
        class_names: name of the class of each output.
        frame: size of the images.
        output_stride: requested stride of the backbone; None is its own.
        net: class name of the model, ours or the original's; part of file names.
        reduction: how the CAM combines channels.
        head: name of the head, a key of :data:`ggcam.models.heads.HEADS`.
        multi_label: whether an image may belong to several classes, or to none.
        num_stages: requested number of stages of the backbone; None is all.
        framing: how raw images are fitted into the frame.
        used_bits: bits that the values of raw 16-bit PNG and TIFF files use.
        channels: number of channels of the images: 1 for grey, 3 for colour.
        mean: mean by which pixels are standardised, one for all channels or one per channel; None is ImageNet's.
        std: standard deviation by which they are standardised; likewise.
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
    used_bits: int = ALL_BITS
    channels: int = 1
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    head: str = "cam"

    @classmethod
    def from_config(cls, config: TrainConfig, data: PreparedData) -> ModelSpec:
        """Describe the network that a training run asks for.

        With pretrained weights, pixels are standardised by the mean and standard deviation that the weights were
        trained with; from scratch, by those of ImageNet.

        Args:
            config: options of the training.
            data: prepared folder, which decides the classes and the frame.

        Returns:
            The description.

        Raises:
            ConfigError: there is no such network, or one of the original's is to have another head than it has.
        """
        network, head = original.find_network(config.backbone), guidance_class(config.guidance).head
        channels, mean, std = data.channels, None, None
        if network is None:
            net, type, reduction = "CAMClassifier", config.backbone, config.reduction or "sum"
            if head != "cam" and reduction != "sum":
                raise ConfigError(
                    f"the head of guidance {config.guidance} sums over channels",
                    where="--reduction",
                    expected="sum",
                    got=reduction,
                )
            pretrained = config.pretrained or config.weights is not None
            mean, std = native_statistics(type, channels) if pretrained else imagenet_statistics(channels)
        else:
            net, type, reduction = network.family.net, network.type, config.reduction or "mean"
            if head != "cam":
                raise ConfigError(
                    f"guidance {config.guidance} needs a head that the original's networks do not have",
                    where="--backbone",
                    expected="a network of timm",
                    got=config.backbone,
                )
            if reduction != "mean":
                raise ConfigError(
                    "the original's networks average over channels",
                    where="--reduction",
                    expected="mean",
                    got=reduction,
                )
        return cls(
            type=type,
            class_names=data.class_names,
            frame=data.frame,
            output_stride=config.output_stride,
            net=net,
            reduction=reduction,
            multi_label=data.multi_label,
            num_stages=config.num_stages,
            framing=data.framing,
            used_bits=data.used_bits,
            channels=channels,
            mean=mean,
            std=std,
            head=head,
        )

    @property
    def original_network(self) -> original.OriginalNetwork | None:
        """Which of the original's networks it is; None for any other network."""
        return original.network_from_params(self.net, self.type)

    @property
    def backbone(self) -> str:
        """Name of the backbone on the command line."""
        network = self.original_network
        return network.backbone if network is not None else self.type

    def build(self, pretrained: bool = False, weights: Path | None = None) -> CAMClassifier:
        """Build the network, with initial weights from torch's global generator, timm or a file.

        Args:
            pretrained: load the weights that timm provides.
            weights: file of weights to load.

        Returns:
            The network, in training mode, on the CPU.

        Raises:
            ConfigError: the network cannot be built, or its weights cannot be downloaded.
            MissingFileError: `weights` does not exist.
            WeightsError: `weights` does not hold the weights of this network of the original's.
        """
        network = self.original_network
        if network is not None:
            original.check_options(self.output_stride, pretrained, self.num_stages)
            if weights is not None:
                return original_weights.load_as(network, weights, len(self.class_names))
            return original.create_classifier(network, len(self.class_names))
        backbone = create_backbone(
            self.type,
            self.frame.shape,
            in_channels=self.channels,
            output_stride=self.output_stride,
            pretrained=pretrained,
            weights=weights,
            num_stages=self.num_stages,
        )
        head = None if self.head == "cam" else HEADS[self.head](backbone.num_features, len(self.class_names))
        return CAMClassifier(backbone, len(self.class_names), self.reduction, self.mean, self.std, head=head)

    def check_match(self, data: PreparedData) -> None:
        """Check that data have the classes, frame, channels and kind of labels that the network was trained with.

        Args:
            data: prepared folder.

        Raises:
            RunFolderError: they differ.
        """
        kinds = {False: "one per case", True: "several per case"}
        for what, ours, theirs in (
            ("classes", ", ".join(self.class_names), ", ".join(data.class_names)),
            ("frame", self.frame, data.frame),
            ("channels", _in_words(self.channels), _in_words(data.channels)),
            ("labels", kinds[self.multi_label], kinds[data.multi_label]),
        ):
            if ours != theirs:
                raise RunFolderError(
                    f"the run and the data have different {what}", where=data.root, expected=ours, got=theirs
                )

    def to_dict(self) -> dict[str, Any]:
        """Return the content of params_<Net>_.txt."""
        network = self.original_network
        if network is None:
            return {
                **asdict(self),
                "in_channels": self.channels,
                "pixels": "0..1, then (pixel - mean) / std for each channel",
            }
        return {
            **asdict(self),
            "results": network.family.results,
            "backbone": network.backbone,
            "in_channels": 3,
            "pixels": "divided by the image's maximum; one channel stands for three equal ones",
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], where: object = "params_<Net>_.txt") -> ModelSpec:
        """Read a description that `to_dict` returned, or that an earlier version wrote.

        Args:
            values: content of params_<Net>_.txt.
            where: origin of the values, for messages.

        Returns:
            The description.

        Raises:
            RunFolderError: a value is missing or has the wrong type.
        """
        found = structure(current_names(values), ModelFile, where, error=RunFolderError)
        check_class_names(found["class_names"], where, RunFolderError)
        try:
            frame = Frame(**found["frame"])
        except ConfigError as error:
            raise RunFolderError("invalid frame", where=where, got=error.what) from None
        channels = found.get("channels", 1)  # earlier versions knew grey images
        return cls(
            type=found["type"],
            class_names=tuple(found["class_names"]),
            frame=frame,
            output_stride=found["output_stride"],
            net=found["net"],
            reduction=found["reduction"],
            multi_label=found.get("multi_label", False),  # earlier versions knew one label per case
            num_stages=found.get("num_stages"),  # and whole networks
            framing=FRAMINGS[found.get("framing", "fitted")].name,
            used_bits=found.get("used_bits", ALL_BITS),
            channels=channels,
            mean=_statistic(found, "mean", channels, where),
            std=_statistic(found, "std", channels, where),
            head=found.get("head", "cam"),
        )


def _in_words(channels: int) -> str:
    return "grey" if channels == 1 else "colour"


def _statistic(
    found: Mapping[str, Any], key: Literal["mean", "std"], channels: int, where: object
) -> tuple[float, ...] | None:
    """Return the mean or the standard deviation of the pixels; None if the file has none."""
    values = found.get(key)
    if values is None:
        return None
    if len(values) not in (1, channels) or (key == "std" and min(values) <= 0):
        raise RunFolderError(
            f"invalid value for key {key}",
            where=where,
            expected=f"{channels} number{'s' if channels > 1 else ''}{' above 0' if key == 'std' else ''}",
            got=values,
        )
    return tuple(values)


def guidance_of(config: TrainConfig) -> Guidance:
    """Create the guidance that a training run asks for.

    Args:
        config: options of the training.

    Returns:
        The guidance, with its own initial values.

    Raises:
        ConfigError: there is no such guidance, one of its options is invalid, or it excludes an option of the training.
    """
    guidance = create_guidance(config.guidance, config.guidance_weight, parse_options(config.guidance_options))
    for option in guidance.excludes:
        if getattr(config, option):
            raise ConfigError(
                f"guidance {config.guidance} does not work with --{option}", where=f"--{option}", hint="leave it out"
            )
    return guidance


def net_weights(model: CAMClassifier, guidance: Guidance) -> dict[str, Tensor]:
    """Return the content of NET.pt: of an original network, what the original can load; of any other, its state dict.

    Args:
        model: trained network.
        guidance: guidance of the training, whose scalars the original's file holds, too.

    Returns:
        Parameter name -> tensor.
    """
    if original.is_original(model):
        return original_weights.original_state_dict(model, export_scalars(guidance))
    return model.state_dict()
