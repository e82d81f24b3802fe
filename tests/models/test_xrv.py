"""The networks of torchxrayvision: the same features from the same pixels, and weights from wherever they are."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from ggcam.errors import ConfigError
from ggcam.models import xrv
from ggcam.models.backbone_catalogue import find_networks
from ggcam.models.backbones import create_backbone
from ggcam.models.cam import CAMClassifier
from ggcam.models.pixel_statistics import native_statistics
from ggcam.training.config import TrainConfig

ALL, RESNET = "xrv:densenet121-res224-all", "xrv:resnet50-res512-all"
SIZE = (64, 96)


@pytest.fixture(scope="module")
def densenet_file(tmp_path_factory: pytest.TempPathFactory) -> tuple[nn.Module, Path]:
    """A DenseNet of the package with random weights, pickled whole in torch's old format, as its files are."""
    package = pytest.importorskip("torchxrayvision")
    torch.manual_seed(0)
    network = package.models.DenseNet(weights=None).eval()
    path = tmp_path_factory.mktemp("xrv") / "densenet.pt"
    torch.save(network, path, _use_new_zipfile_serialization=False)
    return network, path


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def offline(url: str, *_: object, **__: object) -> None:
    raise OSError("no network")


def features(backbone: nn.Module, image: Tensor, name: str = ALL) -> Tensor:
    assert isinstance(backbone, nn.Module)
    mean, std = native_statistics(name, 1)
    model = CAMClassifier(backbone, 3, mean=mean, std=std).eval()  # pyright: ignore[reportArgumentType]
    with torch.inference_mode():
        return model(image).features


def test_a_densenet_has_the_features_of_the_package_from_pixels_scaled_as_there(densenet_file):
    package = pytest.importorskip("torchxrayvision")
    network, path = densenet_file
    backbone = create_backbone(ALL, SIZE, weights=path)
    assert backbone.initial_weights.complete
    assert backbone.initial_weights.adapted == ()
    image = torch.randint(0, 256, (2, 1, *SIZE), dtype=torch.uint8)
    scaled = torch.from_numpy(np.stack([package.utils.normalize(each.numpy(), 255) for each in image]))
    with torch.inference_mode():
        expected = network.features(scaled).relu()
    found = features(backbone, image)
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-3 * expected.abs().max().item())


def test_the_resnet_has_the_features_of_torchvision_with_one_channel(tmp_path):
    torchvision = pytest.importorskip("torchvision")
    torch.manual_seed(0)
    network = torchvision.models.resnet50(num_classes=18).eval()
    network.conv1 = nn.Conv2d(1, 64, kernel_size=7, stride=2, padding=3, bias=False)
    torch.save(network.state_dict(), tmp_path / "resnet.pt")
    backbone = create_backbone(RESNET, SIZE, weights=tmp_path / "resnet.pt")
    assert backbone.initial_weights.complete
    image = torch.randint(0, 256, (1, 1, *SIZE), dtype=torch.uint8)
    with torch.inference_mode():
        expected = nn.Sequential(*list(network.children())[:-2])((image.float() / 255 * 2 - 1) * 1024)
    torch.testing.assert_close(features(backbone, image, RESNET), expected, rtol=1e-3, atol=1e-3)


def test_black_and_white_are_the_ends_of_the_packages_range():
    (mean,), (std,) = native_statistics(ALL, 1)
    assert ((0 - mean) / std, (1 - mean) / std) == (-1024, 1024)


def test_weights_in_the_cache_of_the_package_are_used_and_nothing_is_downloaded(densenet_file, home, monkeypatch):
    monkeypatch.setattr(torch.hub, "download_url_to_file", offline)
    cached = xrv.NETWORKS[ALL].cached
    assert cached.is_relative_to(home)
    cached.parent.mkdir(parents=True)
    shutil.copy(densenet_file[1], cached)
    backbone = create_backbone(ALL, SIZE, pretrained=True)
    weight = backbone.trunk.state_dict()["features.conv0.weight"]
    assert torch.equal(weight, densenet_file[0].state_dict()["features.conv0.weight"])
    assert backbone.initial_weights.source == cached.name


def test_what_is_downloaded_is_kept_whole_or_not_at_all(home, monkeypatch):
    def download(url: str, path: str, progress: bool) -> None:
        Path(path).write_bytes(b"half")
        if "densenet121-d121" in url:
            raise OSError("connection lost")

    monkeypatch.setattr(torch.hub, "download_url_to_file", download)
    with pytest.raises(ConfigError, match=r"could not be downloaded(.|\n)*connection lost(.|\n)*--weights"):
        xrv.fetch_weights(xrv.NETWORKS[ALL])
    assert list(xrv.NETWORKS[ALL].cached.parent.iterdir()) == []
    assert xrv.fetch_weights(xrv.NETWORKS[RESNET]).read_bytes() == b"half"


def test_names_and_files_are_those_of_the_package():
    package = pytest.importorskip("torchxrayvision")
    urls = {f"xrv:{name}": value["weights_url"] for name, value in package.models.model_urls.items()}
    for name, network in xrv.NETWORKS.items():
        assert urls[name].endswith(f"/{network.file}")
    assert set(xrv.NETWORKS) == {name for name in urls if "-res" in name}


def test_an_unknown_name_or_no_weights_are_refused_in_words():
    with pytest.raises(ConfigError, match=r"no network 'xrv:densenet' of torchxrayvision(.|\n)*res224-all"):
        create_backbone("xrv:densenet", SIZE)
    with pytest.raises(ConfigError, match=r"stands for pretrained weights(.|\n)*--pretrained(.|\n)*--weights FILE"):
        TrainConfig(backbone=ALL)
    assert TrainConfig(backbone=ALL, pretrained=True).backbone == ALL


def test_the_networks_are_listed():
    assert find_networks("xrv") == list(xrv.NETWORKS)
