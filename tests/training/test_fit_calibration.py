from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.special import softmax

from ggcam.data.dataset import PreparedDataset
from ggcam.data.prepared import load_prepared
from ggcam.models.backbones import create_backbone
from ggcam.models.cam import CAMClassifier
from ggcam.training.fit_calibration import calibrate, calibrate_network

NAMES = ("Normal", "CHF", "pneumonia")


def cases(n=3000, sharpness=1.0):
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(n, 3)) * 2
    labels = (softmax(logits, axis=1).cumsum(axis=1) > rng.random((n, 1))).argmax(axis=1)
    return logits * sharpness, labels


def test_an_under_confident_network_gets_a_temperature_below_one_and_thresholds_of_calibrated_probabilities():
    logits, labels = cases(sharpness=0.25)
    found = calibrate(logits, labels, NAMES)
    assert found.temperature == pytest.approx([0.25] * 3, rel=0.1)
    assert found.cases == 3000
    probability = softmax(logits / found.temperature[0], axis=1)[:, 1]
    chosen = found.thresholds["sensitivity_95"]["CHF"]
    assert chosen is not None
    assert (probability[labels == 1] >= chosen).mean() == pytest.approx(0.95, abs=0.005)


def test_labels_that_are_unknown_or_always_absent_do_not_take_part():
    rng = np.random.default_rng(0)
    labels = (rng.random((50, 3)) < 0.5).astype(float)
    labels[::2, 0] = np.nan
    labels[:, 2] = 0
    logits = np.where(np.nan_to_num(labels) == 1, 1.0, -1.0) + rng.normal(size=(50, 3))
    logits[::2, 0] = 1e6  # of unknown labels
    found = calibrate(logits, labels, NAMES)
    assert found.temperature[2] == 1
    assert found.temperature[0] < 20
    assert found.thresholds["youden"]["pneumonia"] is None
    assert found.thresholds["youden"]["Normal"] is not None


def test_a_network_is_calibrated_in_evaluation_mode_and_keeps_its_own(prepared):
    data = load_prepared(prepared)
    dataset = PreparedDataset(data, "valid")
    torch.manual_seed(0)
    model = CAMClassifier(create_backbone("test_resnet", data.frame.shape), 3).train()
    labels = data.labels_of(dataset.cases)
    found = calibrate_network(model, dataset, labels, data.class_names, batch_size=4)
    assert model.training
    assert found == calibrate_network(model, dataset, labels, data.class_names, batch_size=4)
    with torch.inference_mode():
        logits = model.eval()(dataset.batch(range(len(dataset))).image).logits
    whole = calibrate(logits.double().numpy(), labels, data.class_names)
    assert found.temperature == pytest.approx(whole.temperature, rel=1e-3)
