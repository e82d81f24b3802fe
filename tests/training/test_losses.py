"""Losses and scores of one and of several labels, against loops and scikit-learn."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score
from sklearn.utils.class_weight import compute_class_weight
from torch.nn import functional

from ggcam.training.losses import (
    balanced_class_weights,
    classification_loss,
    count_known_entries,
    log_odds,
    loss_per_case,
    macro_auroc_and_accuracy,
)

UNKNOWN = math.nan
LABELS = torch.tensor([[1, 0, UNKNOWN], [UNKNOWN, UNKNOWN, UNKNOWN], [0, 1, 1], [1, UNKNOWN, 0]])


def logits(cases: int = 4) -> torch.Tensor:
    return torch.randn(cases, 3, generator=torch.Generator().manual_seed(cases)).mul(3).requires_grad_()


def slow_entries(given: torch.Tensor, labels: torch.Tensor) -> list[list[float]]:
    """Binary cross entropy of what is known, case by case."""
    probability = 1 / (1 + np.exp(-given.detach().double().numpy()))
    return [
        [-math.log(p if y == 1 else 1 - p) for p, y in zip(ps, ys, strict=True) if not math.isnan(y)]
        for ps, ys in zip(probability.tolist(), labels.tolist(), strict=True)
    ]


def test_the_masked_loss_equals_a_loop():
    given = logits()
    of_cases = slow_entries(given, LABELS)
    together = [value for case in of_cases for value in case]
    assert classification_loss(given, LABELS).item() == pytest.approx(np.mean(together), rel=1e-5)
    expected = [np.mean(case) if case else 0.0 for case in of_cases]
    np.testing.assert_allclose(loss_per_case(given, LABELS).detach(), expected, rtol=1e-5)


def test_unknown_entries_have_no_gradient_and_the_known_have_theirs():
    given = logits()
    classification_loss(given, LABELS).backward()
    known = LABELS.isfinite()
    expected = torch.where(known, given.detach().sigmoid() - LABELS.nan_to_num(), 0) / known.sum()
    torch.testing.assert_close(given.grad, expected)


def test_what_is_said_of_an_unknown_entry_changes_nothing():
    given = logits().detach()
    other = torch.where(LABELS.isfinite(), given, given + 50)
    assert classification_loss(other, LABELS) == classification_loss(given, LABELS)


def test_a_batch_of_which_nothing_is_known_has_no_loss_and_no_gradient():
    given = logits()
    loss = classification_loss(given, torch.full((4, 3), UNKNOWN))
    loss.backward()
    assert loss.item() == 0
    assert torch.equal(given.grad, torch.zeros(4, 3))


def test_cases_weighed_by_what_is_known_make_up_the_loss_of_all():
    weights = count_known_entries(LABELS.numpy())
    assert weights.tolist() == [2, 0, 3, 2]
    each = loss_per_case(logits(), LABELS).detach().numpy()
    assert np.average(each, weights=weights) == pytest.approx(classification_loss(logits(), LABELS).item(), rel=1e-6)


def test_one_label_a_case_has_the_cross_entropy():
    given, labels = logits(), torch.tensor([2, 0, 1, 1])
    assert torch.equal(classification_loss(given, labels), functional.cross_entropy(given, labels))
    assert torch.equal(loss_per_case(given, labels), functional.cross_entropy(given, labels, reduction="none"))
    assert count_known_entries(labels.numpy()).tolist() == [1, 1, 1, 1]
    auroc, accuracy = macro_auroc_and_accuracy(given.detach().double().numpy(), labels.numpy())
    assert accuracy == (given.argmax(dim=1) == labels).double().mean().item()
    assert 0 <= auroc <= 1


def test_scores_of_several_labels_equal_scikit_learns():
    random = np.random.default_rng(0)
    given = random.normal(size=(60, 3))
    labels = np.where(random.random((60, 3)) < 0.3, np.nan, (random.random((60, 3)) < 0.4).astype(float))
    labels[:, 2] = np.where(np.isnan(labels[:, 2]), np.nan, 0)  # nobody has the last
    known = ~np.isnan(labels)
    areas = [roc_auc_score(labels[known[:, k], k], given[known[:, k], k]) for k in (0, 1)]
    auroc, accuracy = macro_auroc_and_accuracy(given, labels)
    assert auroc == pytest.approx(np.mean(areas))
    assert accuracy == pytest.approx(np.mean((given > 0)[known] == labels[known]))


def test_scores_of_nothing_known_are_undefined():
    assert all(math.isnan(score) for score in macro_auroc_and_accuracy(np.zeros((3, 2)), np.full((3, 2), np.nan)))


def test_balanced_weights_equal_those_of_scikit_learn_and_average_to_one():
    labels = np.array([0] * 7 + [1] * 2 + [2])
    found = balanced_class_weights(labels, 3)
    expected = compute_class_weight("balanced", classes=np.arange(3), y=labels)
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    assert found[torch.from_numpy(labels)].mean().item() == pytest.approx(1)


def test_with_several_labels_only_known_ones_are_counted_and_a_label_without_both_values_has_weight_one():
    labels = np.array([[1, 0, 1, np.nan], [0, 0, 1, np.nan], [0, np.nan, 1, np.nan], [0, 0, np.nan, np.nan]])
    assert balanced_class_weights(labels, 4).tolist() == [3, 1, 1, 1]


def test_weights_and_smoothing_of_one_label_equal_a_loop():
    given, labels, weights = logits(), torch.tensor([0, 2, 2, 1]), torch.tensor([0.5, 2.0, 3.0])
    log_p = given.detach().double().log_softmax(dim=1)
    target = 0.9 * functional.one_hot(labels, 3).double() + 0.1 / 3
    expected = np.mean([float(weights[y]) * -float(t @ p) for y, t, p in zip(labels, target, log_p, strict=True)])
    assert classification_loss(given, labels, weights, 0.1).item() == pytest.approx(expected, rel=1e-5)
    assert classification_loss(given, labels, torch.ones(3)).item() == pytest.approx(
        classification_loss(given, labels).item(), rel=1e-6
    )


def test_weights_and_smoothing_of_several_labels_equal_a_loop():
    given, weights = logits(), torch.tensor([0.5, 2.0, 3.0])
    probability = given.detach().double().sigmoid()
    values = [
        -(weights[k].item() * (0.8 * y + 0.1) * math.log(p) + (0.9 - 0.8 * y) * math.log(1 - p))
        for ps, ys in zip(probability.tolist(), LABELS.tolist(), strict=True)
        for k, (p, y) in enumerate(zip(ps, ys, strict=True))
        if not math.isnan(y)
    ]
    assert classification_loss(given, LABELS, weights, 0.2).item() == pytest.approx(np.mean(values), rel=1e-5)


def test_log_odds_minimise_the_loss_of_a_constant_answer():
    labels = np.array([[1.0, 0.0]] * 3 + [[0.0, 1.0]] * 17 + [[np.nan, 1.0]] * 20)
    found = log_odds(labels)
    for weights in (None, balanced_class_weights(labels, 2)):
        start = log_odds(labels, weights).requires_grad_()
        classification_loss(start.expand(40, 2), torch.from_numpy(labels).float(), weights).backward()
        assert start.grad.abs().max() < 0.02  # half a case is added to each side
    assert found[0] == pytest.approx(np.log(3 / 17), abs=0.15)
    assert log_odds(labels, balanced_class_weights(labels, 2)) == pytest.approx([0, 0], abs=0.15)
    assert np.isfinite(log_odds(np.array([[1.0, np.nan]] * 5))).all()
