from __future__ import annotations

import numpy as np
import pytest
import torch

from ggcam.data.dataset import PreparedDataset
from ggcam.data.images import read_image
from ggcam.data.prepared import load_prepared
from ggcam.models.backbones import create_backbone
from ggcam.models.cam import CAMClassifier
from ggcam.training import network_outputs as module
from ggcam.training.network_outputs import described_rows, network_outputs


def test_outputs_are_those_of_evaluation_mode_and_the_network_keeps_its_own(prepared):
    data = load_prepared(prepared)
    dataset = PreparedDataset(data, "valid")
    torch.manual_seed(0)
    model = CAMClassifier(create_backbone("test_resnet", data.frame.shape), 3).train()
    found = network_outputs(model, dataset, batch_size=4)
    assert model.training
    with torch.inference_mode():
        output = model.eval()(dataset.batch(range(len(dataset))).image)
    np.testing.assert_allclose(found.logits, output.logits.numpy(), atol=1e-4)
    mean = output.features.mean(dim=(2, 3)).numpy()
    np.testing.assert_allclose(found.features, np.sign(mean) * np.sqrt(np.abs(mean)), atol=1e-3)
    assert found.statistics == []


def test_statistics_are_those_of_the_raw_images(prepared, simulated):
    data = load_prepared(prepared)
    dataset = PreparedDataset(data, "test")
    model = CAMClassifier(create_backbone("test_resnet", data.frame.shape), 3)
    rows = np.array([3, 1])
    found = network_outputs(model, dataset, 4, rows, statistics=True, grey_colour=0.0).statistics
    for row, each in zip(rows, found, strict=True):
        case_id = dataset.cases["case_id"][row]
        raw = read_image(next(simulated.glob(f"files/*/*/*/{case_id}.dcm"))) / 65535
        assert each.aspect == pytest.approx(raw.shape[1] / raw.shape[0])
        assert (each.enlargement, each.colour) == (1, 0)
        assert each.brightness == pytest.approx(np.median(raw), abs=0.03)
        assert each.contrast == pytest.approx(np.quantile(raw, 0.95) - np.quantile(raw, 0.05), abs=0.05)


def test_described_images_are_evenly_spaced(monkeypatch):
    assert described_rows(3).tolist() == [0, 1, 2]
    monkeypatch.setattr(module, "MAX_CASES", 3)
    assert described_rows(101).tolist() == [0, 50, 100]
