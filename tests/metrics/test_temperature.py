import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, softmax

from ggcam.metrics.temperature import MAX_TEMPERATURE, fit_label_temperatures, fit_temperature, nll_per_case


def well_calibrated(seed, n=20_000, k=3):
    """Logits whose softmax is the distribution that the labels are drawn from."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(n, k)) * 2
    labels = (softmax(logits, axis=1).cumsum(axis=1) > rng.random((n, 1))).argmax(axis=1)
    return logits, labels


@pytest.mark.parametrize("distortion", [0.3, 1.0, 4.0])
def test_a_distortion_of_calibrated_logits_is_found(distortion):
    logits, labels = well_calibrated(0)
    assert fit_temperature(logits * distortion, labels) == pytest.approx(distortion, rel=0.05)


@given(st.integers(0, 10_000), st.floats(0.3, 5))
@settings(max_examples=15)
def test_the_temperature_is_that_of_torch_lbfgs(seed, scale):
    logits, labels = well_calibrated(seed, n=200)
    log_t = torch.zeros((), dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([log_t], max_iter=200, line_search_fn="strong_wolfe")

    def closure():
        optimizer.zero_grad()
        scaled = torch.tensor(logits * scale) / log_t.exp()
        loss = torch.nn.functional.cross_entropy(scaled, torch.tensor(labels))
        loss.backward()
        return loss

    optimizer.step(closure)
    assert fit_temperature(logits * scale, labels) == pytest.approx(log_t.exp().item(), rel=1e-3)


def test_the_likelihood_is_never_worse_than_without():
    for seed in range(20):
        rng = np.random.default_rng(seed)
        logits, labels = rng.normal(size=(12, 4)) * 3, rng.integers(0, 4, 12)
        found = fit_temperature(logits, labels)
        before, after = (nll_per_case(softmax(logits / t, axis=1), labels).mean() for t in (1.0, found))
        assert after <= before


def test_separable_cases_stop_at_the_bound_and_uninformative_ones_at_one():
    separable = np.array([[1.0, 0.0], [0.0, 1.0]])
    assert fit_temperature(separable, np.array([0, 1])) == pytest.approx(1 / MAX_TEMPERATURE, rel=0.01)
    assert fit_temperature(-separable, np.array([0, 1])) == pytest.approx(MAX_TEMPERATURE, rel=0.01)
    assert fit_temperature(np.zeros((5, 3)), np.array([0, 1, 2, 0, 1])) == 1


def test_each_label_has_its_own_temperature_from_the_cases_in_which_it_is_known():
    rng = np.random.default_rng(1)
    logits = rng.normal(size=(20_000, 4)) * 2
    labels = (rng.random(logits.shape) < expit(logits)).astype(float)
    labels[:, 2] = 1  # no negative
    labels[:, 3] = np.nan
    spoiled = rng.random(len(labels)) < 0.5
    distorted = logits * [3.0, 0.5, 1.0, 1.0]
    distorted[spoiled, 0] = -50 * np.sign(labels[spoiled, 0] - 0.5)
    labels[spoiled, 0] = np.nan
    found = fit_label_temperatures(distorted, labels)
    assert found == pytest.approx([3.0, 0.5, 1.0, 1.0], rel=0.06)


def test_the_loss_of_each_case():
    probabilities = np.array([[0.5, 0.5], [1.0, 0.0]])
    assert nll_per_case(probabilities, np.array([0, 0])) == pytest.approx([np.log(2), 0])
    assert np.isfinite(nll_per_case(probabilities, np.array([0, 1]))).all()


def test_logits_that_are_not_finite_are_refused():
    with pytest.raises(ValueError, match="not finite"):
        fit_temperature(np.array([[np.nan, 0.0]]), np.array([0]))
    with pytest.raises(ValueError, match="no cases"):
        fit_temperature(np.zeros((0, 2)), np.zeros(0, dtype=int))
