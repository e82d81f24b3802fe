"""Weight files of the original GG-CAM: identified, loaded, written back, refused."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
import torch

from ggcam.errors import ConfigError, MissingFileError, WeightsError
from ggcam.models import original, original_weights
from ggcam.models.backbones import create_backbone
from ggcam.models.cam import CAMClassifier, CAMHead
from ggcam.models.original_nets import OriginalResNet

SMALL = original.NETWORKS["original-resnet-18"]


@pytest.fixture(scope="module")
def state() -> dict[str, torch.Tensor]:
    scalars = {name: torch.tensor(float(i)) for i, name in enumerate(original_weights.LOSS_SCALARS)}
    return original_weights.original_state_dict(original.create_classifier(SMALL, 2), scalars)


def saved(tmp_path: Path, content: object) -> Path:
    torch.save(content, tmp_path / "NET.pt")
    return tmp_path / "NET.pt"


def test_a_weight_file_is_identified_and_loaded(tmp_path, state):
    model = original_weights.load(saved(tmp_path, state))
    assert isinstance(model.backbone, OriginalResNet)
    assert not model.training
    assert model(torch.rand(1, 1, 32, 64)).cam.shape == (1, 2, 1, 2)
    assert (model.head.reduction, model.mean, model.std, model.scale_by) == ("mean", 0, 1, "image")
    again = original_weights.original_state_dict(model, original_weights.scalars_in_state(state))
    assert list(again) == list(state)
    assert all(torch.equal(again[name], state[name]) for name in state)


@pytest.mark.parametrize("backbone", list(original.NETWORKS))
def test_every_network_is_identified(backbone):
    network = original.NETWORKS[backbone]
    with torch.device("meta"):
        state = original_weights.original_state_dict(original.create_classifier(network, 3))
        found, _ = original_weights.identify(state)
    assert found == original.NETWORKS["original-resnet-50" if network.type == "34" else backbone]


def test_types_34_and_50_are_the_same_network():
    with torch.device("meta"):
        models = [original.create_classifier(original.NETWORKS[f"original-resnet-{n}"]) for n in (34, 50)]
    names = [
        [(name, value.shape) for name, value in original_weights.original_state_dict(model).items()] for model in models
    ]
    assert names[0] == names[1]


def test_images_are_divided_by_their_own_maximum():
    model = CAMClassifier(OriginalResNet("18"), 3, mean=0.0, std=1.0, scale_by="image")
    image = torch.tensor([[[[0, 50], [100, 25]]], [[[0, 0], [0, 0]]]], dtype=torch.uint8)
    expected = torch.tensor([[[[0, 0.5], [1, 0.25]]], [[[0.0, 0], [0, 0]]]])
    torch.testing.assert_close(model.standardise(image), expected)
    torch.testing.assert_close(model.standardise(image.to(torch.uint16)), expected)
    torch.testing.assert_close(model.standardise(image / 255), expected)


def changed(state, change):
    state = dict(state)
    change(state)
    return state


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.pop("lg_k"), r"nearest is ResCAMNet 18(?s:.*)lg_k is missing"),
        (lambda s: s.pop("linear.weight"), "linear.weight is missing"),
        (lambda s: s.pop("linear.bias"), "not the weights of an original network(?s:.*)linear.bias"),
        (lambda s: s.update({"extra": torch.zeros(1)}), "extra is unknown"),
        (
            lambda s: s.update({"linear.weight": torch.zeros(2, 2048)}),
            r"shape \[2, 2048\] instead of \[2, 2048, 1, 1\]",
        ),
        (lambda s: s.update({"linear.weight": torch.zeros(3, 2048, 1, 1)}), r"shape \[3, 2048, 1, 1\] instead of"),
        (lambda s: s.update({"linear.bias": torch.zeros(())}), "not the weights of an original network"),
        (lambda s: s.clear(), "does not hold weights"),
    ],
)
def test_incomplete_and_altered_weights_are_refused(tmp_path, state, change, message):
    with pytest.raises(WeightsError, match=message):
        original_weights.load(saved(tmp_path, changed(state, change)))


def test_weights_of_other_networks_are_refused(tmp_path):
    model = CAMClassifier(create_backbone("test_resnet", (64, 64)), 3)
    with pytest.raises(WeightsError, match="not the weights of an original network"):
        original_weights.load(saved(tmp_path, model.state_dict()))


@pytest.mark.parametrize("content", [[1, 2], {"a": 1}, {1: torch.zeros(1)}, torch.zeros(3)])
def test_files_without_a_state_dict_are_refused(tmp_path, content):
    with pytest.raises(WeightsError, match=r"does not hold weights(?s:.*)state_dict\(\)"):
        original_weights.load(saved(tmp_path, content))


class Hostile:
    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_a_hostile_file_is_refused_and_does_not_run_code(tmp_path):
    canary = tmp_path / "ran"
    torch.save({"a": Hostile(canary)}, tmp_path / "a.pt")
    (tmp_path / "b.pt").write_bytes(pickle.dumps({"a": Hostile(canary)}))
    for name in ("a.pt", "b.pt"):
        with pytest.raises(WeightsError, match="more than tensors"):
            original_weights.load(tmp_path / name)
    assert not canary.exists()
    torch.load(tmp_path / "a.pt", weights_only=False)
    assert canary.exists()  # the file would run code if it were trusted


def test_damaged_and_missing_files_are_refused(tmp_path, state):
    whole = saved(tmp_path, state).read_bytes()
    for content in (b"", b"no weights", whole[: len(whole) // 2]):
        (tmp_path / "NET.pt").write_bytes(content)
        with pytest.raises(WeightsError, match="damaged"):
            original_weights.load(tmp_path / "NET.pt")
    with pytest.raises(MissingFileError, match="does not exist"):
        original_weights.load(tmp_path / "none.pt")


def test_networks_are_found_by_their_names():
    assert original.find_network("Original-EffNet-XL") == original.NETWORKS["original-effnet-xl"]
    assert original.find_network("resnet50") is None
    with pytest.raises(ConfigError, match=r"no original network 'original-resnet-51'(?s:.*)original-resnet-50"):
        original.find_network("original-resnet-51")
    assert original.network_from_params("EffCAMNet", "S") == original.NETWORKS["original-effnet-s"]
    assert original.network_from_params("CAMClassifier", "S") is None


def test_create_backbone_builds_original_networks_with_and_without_weights(tmp_path, state):
    assert isinstance(create_backbone("original-resnet-18", (64, 64)), OriginalResNet)
    backbone = create_backbone("original-resnet-18", (64, 64), weights=saved(tmp_path, state))
    assert all(torch.equal(value, state[name]) for name, value in backbone.state_dict().items())
    with pytest.raises(WeightsError, match="another type"):
        create_backbone("original-resnet-101", (64, 64), weights=tmp_path / "NET.pt")
    with pytest.raises(ConfigError, match=r"fixed output stride(?s:.*)32(?s:.*)16"):
        create_backbone("original-resnet-18", (64, 64), output_stride=16)
    with pytest.raises(ConfigError, match="no pretrained weights"):
        create_backbone("original-resnet-18", (64, 64), pretrained=True)
    with pytest.raises(ConfigError, match="cannot be shortened"):
        create_backbone("original-resnet-18", (64, 64), num_stages=3)


def test_weights_with_another_number_of_classes_are_refused(tmp_path, state):
    with pytest.raises(WeightsError, match=r"number of classes(?s:.*)linear.bias has shape \[2\] instead of \[3\]"):
        original_weights.load_as(SMALL, saved(tmp_path, state), num_classes=3)


def test_a_network_with_another_head_is_not_an_original_one():
    with torch.device("meta"):
        model = original.create_classifier(SMALL)
        assert original.is_original(model)
        model.head = CAMHead(2048, 3, "sum")
        assert not original.is_original(model)
        assert not original.is_original(CAMClassifier(create_backbone("test_resnet", (64, 64)), 3, "mean"))
