from fractions import Fraction

import numpy as np
import pytest
import scipy.stats
import torch

from models.scores.ccc import ccc_or_zero, compute_ccc, compute_ccc_per_video, compute_mse, compute_pearson

NAN = float("nan")


@pytest.mark.parametrize(
    ("truth", "prediction", "expected"),
    [
        # By hand: 2 cov / (var_t + var_p + (mean_p - mean_t)^2), divisor n.
        ([0, 1], [0, 1], 1.0),
        ([0, 1], [1, 0], -1.0),
        ([0, 1], [0, 0.5], 2 * 0.125 / (0.25 + 0.0625 + 0.0625)),
        # Divided by n - 1 the variances would double and the shift would not: 0.8, not 2/3.
        ([0, 1], [0.5, 1.5], 2 * 0.25 / (0.25 + 0.25 + 0.25)),
        ([1, 2, 3], [3, 4, 8], 2 * (5 / 3) / (2 / 3 + 14 / 3 + 9)),
        ([-1, 0, 1, 0], [0.5, 0.5, 0.5, 0.5], 0.0),
        ([0.3, 0.3, 0.3], [0.1, 0.2, 0.3], NAN),
        ([0.3, 0.3], [0.3, 0.3], NAN),
        ([0.3], [0.4], NAN),
        ([], [], NAN),
        ([0, 1, NAN], [0, 1, 0], NAN),
        ([0, 1, 0], [0, 1, NAN], NAN),
    ],
)
def test_ccc_by_hand(truth, prediction, expected):
    assert compute_ccc(np.array(truth, dtype=float), np.array(prediction, dtype=float)) == pytest.approx(
        expected, nan_ok=True
    )


def test_ccc_equals_the_challenge_formula_with_pearson():
    rng = np.random.default_rng(3)
    truth, prediction = rng.normal(size=(2, 617)).astype(np.float32)
    prediction += truth
    rho = np.corrcoef(truth, prediction)[0, 1]
    spread = truth.var() + prediction.var() + (prediction.mean() - truth.mean()) ** 2
    assert compute_ccc(truth, prediction) == pytest.approx(2 * rho * truth.std() * prediction.std() / spread, rel=1e-5)
    assert compute_pearson(truth, prediction) == pytest.approx(rho, rel=1e-6)


@pytest.mark.parametrize(
    ("truth", "prediction", "expected"),
    [
        ([0, 1], [0, 0.5], 1.0),
        ([0, 1, 2], [2, 1, 0], -1.0),
        ([1, 1], [0, 1], NAN),
        ([0, 1], [1, 1], NAN),
        ([], [], NAN),
    ],
)
def test_pearson_by_hand(truth, prediction, expected):
    assert compute_pearson(np.array(truth), np.array(prediction)) == pytest.approx(expected, nan_ok=True)


def test_mse_by_hand():
    assert compute_mse(np.array([0.0, 1.0]), np.array([1.0, 1.0])) == 0.5
    assert np.isnan(compute_mse(np.array([]), np.array([])))


def test_tensor_and_array_agree():
    rng = np.random.default_rng(1)
    truth, prediction = rng.normal(size=(2, 6, 2))
    of_tensors = ccc_or_zero(torch.from_numpy(truth), torch.from_numpy(prediction))
    np.testing.assert_allclose(of_tensors.numpy(), ccc_or_zero(truth, prediction), rtol=1e-12)
    assert compute_ccc(truth[:, 1], prediction[:, 1]) == pytest.approx(float(of_tensors[1]))


def test_ccc_or_zero_by_hand_at_two_samples():
    truth = np.array([[0.0, 0.7], [1.0, 0.7]])
    prediction = np.array([[0.0, 0.1], [0.5, 0.9]])
    np.testing.assert_allclose(ccc_or_zero(truth, prediction), [2 / 3, 0.0])


@pytest.mark.parametrize("size", [1, 2, 6])
@pytest.mark.parametrize("value", [0.0, 0.3, 1.0])
def test_gradient_of_a_constant_batch_is_zero(size, value):
    truth = torch.full((size, 1), value)
    for prediction in (torch.full((size, 1), value), torch.linspace(-0.5, 0.9, size)[:, None]):
        prediction.requires_grad_()
        result = ccc_or_zero(truth, prediction)
        result.sum().backward()
        assert result.item() == 0
        assert prediction.grad is not None
        assert torch.equal(prediction.grad, torch.zeros(size, 1))


def test_per_video_leaves_out_what_has_no_ccc():
    truth = np.array([0, 1, 0, 1, 0.5, 0.2, 0.2])
    prediction = np.array([0, 1, 1, 0, 0.9, 0.3, 0.4])
    videos = ["a", "a", "b", "b", "single", "constant", "constant"]
    assert compute_ccc_per_video(truth, prediction, videos) == pytest.approx(0.0)  # (1 - 1) / 2
    assert compute_ccc_per_video(truth[:2], prediction[:2], videos[:2]) == 1.0
    assert np.isnan(compute_ccc_per_video(truth[4:], prediction[4:], videos[4:]))
    assert np.isnan(compute_ccc_per_video(np.array([]), np.array([]), []))


def test_shapes_that_differ_are_refused():
    with pytest.raises(ValueError, match=r"truth has shape \(3,\) and prediction \(2,\)"):
        compute_ccc(np.zeros(3), np.zeros(2))
    with pytest.raises(ValueError, match=r"truth has shape \(3, 2\)"):
        compute_mse(np.zeros((3, 2)), np.zeros((3, 2)))
    with pytest.raises(ValueError, match="1 videos named for 2 utterances"):
        compute_ccc_per_video(np.zeros(2), np.zeros(2), ["a"])


def as_the_challenge_does(truth, prediction):
    """Its formula with NumPy's own measures: population standard deviations."""
    rho = np.corrcoef(truth, prediction)[0, 1]
    spread = np.var(truth) + np.var(prediction) + (np.mean(prediction) - np.mean(truth)) ** 2
    return 2 * rho * np.std(truth) * np.std(prediction) / spread


@pytest.mark.parametrize("seed", range(20))
def test_equals_the_challenge_on_random_cases_to_twelve_digits(seed):
    rng = np.random.default_rng(seed)
    truth = rng.uniform(-1, 1, 617)
    prediction = np.clip(rng.normal() * truth + rng.normal(0, rng.uniform(0, 1), 617) + rng.normal(), -1, 1)
    assert abs(compute_ccc(truth, prediction) - as_the_challenge_does(truth, prediction)) < 1e-12


def exact_ccc(truth, prediction):
    """Compute the formula in exact fractions."""
    t, p = ([Fraction(float(value)) for value in values] for values in (truth, prediction))
    n = len(t)
    t_mean, p_mean = sum(t) / n, sum(p) / n
    covariance = sum((a - t_mean) * (b - p_mean) for a, b in zip(t, p, strict=True)) / n
    variances = sum((a - t_mean) ** 2 for a in t) / n + sum((b - p_mean) ** 2 for b in p) / n
    return float(2 * covariance / (variances + (t_mean - p_mean) ** 2))


HARD = {
    "far from zero": (1e6 + np.arange(50) / 7, 1e6 + np.arange(50)[::-1] / 9 + np.arange(50) % 3),
    "tiny spread": (0.3 + 1e-9 * np.arange(30), 0.3 + 1e-9 * (np.arange(30) % 7)),
    "almost equal": (np.linspace(-1, 1, 100), np.linspace(-1, 1, 100) + 1e-14),
    "one outlier": (np.r_[np.zeros(99), 1.0], np.r_[np.zeros(98), 1.0, 0.9]),
    "many alike": (np.repeat([0.0, 0.1], [999, 1]), np.full(1000, 0.1) + np.arange(1000) * 1e-6),
    "float32": (np.linspace(0, 1, 33, dtype=np.float32) ** 2, np.linspace(0, 1, 33, dtype=np.float32)),
    "two": (np.array([0.1, 0.1 + 1e-6]), np.array([-1.0, 1.0])),
}


@pytest.mark.parametrize("name", HARD)
def test_equals_the_formula_in_exact_fractions_on_hard_cases(name):
    assert abs(compute_ccc(*HARD[name]) - exact_ccc(*HARD[name])) < 1e-12


def test_equals_audmetric_and_scipy():
    audmetric = pytest.importorskip("audmetric")
    rng = np.random.default_rng(8)
    for _ in range(5):
        truth = rng.uniform(-1, 1, 200)
        prediction = 0.4 * truth + rng.normal(0, 0.3, 200)
        assert abs(compute_ccc(truth, prediction) - audmetric.concordance_cc(truth, prediction)) < 1e-12
        assert abs(compute_mse(truth, prediction) - audmetric.mean_squared_error(truth, prediction)) < 1e-12
        assert abs(compute_pearson(truth, prediction) - scipy.stats.pearsonr(truth, prediction).statistic) < 1e-12
