import doctest

import numpy as np
import pytest
import torch

from models import ccc
from models.ccc import (
    bootstrap_interval,
    ccc_or_zero,
    compute_ccc,
    compute_ccc_per_video,
    compute_mse,
    compute_pearson,
    compute_score,
)

NAN = float("nan")


def test_examples_in_docstrings():
    result = doctest.testmod(ccc)
    assert result.failed == 0
    assert result.attempted == 3


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


def test_interval_equals_a_plain_bootstrap():
    rng = np.random.default_rng(5)
    videos = [f"v{i // 4}" for i in range(40)]
    truth = rng.normal(size=40) + 7
    prediction = 0.5 * truth + rng.normal(size=40)
    low, high = bootstrap_interval(truth, prediction, videos, num_resamples=4000)
    rows = np.arange(40).reshape(10, 4)
    chosen = rows[rng.integers(10, size=(4000, 10))].reshape(4000, 40)
    plain = [compute_ccc(truth[c], prediction[c]) for c in chosen]
    np.testing.assert_allclose([low, high], np.quantile(plain, [0.025, 0.975]), atol=0.02)
    assert low < compute_ccc(truth, prediction) < high


def test_interval_is_seeded():
    rng = np.random.default_rng(5)
    truth, prediction = rng.normal(size=(2, 30))
    videos = [f"v{i % 6}" for i in range(30)]
    assert bootstrap_interval(truth, prediction, videos) == bootstrap_interval(truth, prediction, videos)
    assert bootstrap_interval(truth, prediction, videos) != bootstrap_interval(truth, prediction, videos, seed=1)


def test_interval_of_perfect_predictions_is_one():
    truth = np.arange(12) / 12
    np.testing.assert_allclose(bootstrap_interval(truth, truth, [f"v{i // 3}" for i in range(12)]), (1, 1))


@pytest.mark.parametrize(
    ("truth", "prediction", "videos"),
    [
        ([0.1, 0.4], [0.2, 0.3], ["a", "a"]),  # one video
        ([0.4, 0.4], [0.2, 0.3], ["a", "b"]),  # constant
        ([0.1, 0.4], [NAN, 0.3], ["a", "b"]),
        ([], [], []),
    ],
)
def test_interval_is_undefined(truth, prediction, videos):
    assert np.isnan(bootstrap_interval(np.array(truth), np.array(prediction), videos)).all()


def test_resamples_without_ccc_do_not_count():
    # With two videos of one utterance each, half of the resamples hold one utterance twice.
    assert bootstrap_interval(np.array([0.0, 1.0]), np.array([0.0, 1.0]), ["a", "b"]) == pytest.approx((1, 1))


def test_score_has_all_measures():
    truth, prediction = np.array([0, 1, 0, 1.0]), np.array([0, 1, 0, 0.5])
    score = compute_score(truth, prediction, ["a", "a", "b", "b"])
    assert score.ccc == pytest.approx(compute_ccc(truth, prediction))
    assert score.ccc_per_video == pytest.approx((1 + 2 / 3) / 2)
    assert score.mse == pytest.approx(0.0625)
    assert score.pearson == pytest.approx(np.corrcoef(truth, prediction)[0, 1])
    assert score.ccc_low <= score.ccc <= score.ccc_high


def test_shapes_that_differ_are_refused():
    with pytest.raises(ValueError, match=r"truth has shape \(3,\) and prediction \(2,\)"):
        compute_ccc(np.zeros(3), np.zeros(2))
    with pytest.raises(ValueError, match=r"truth has shape \(3, 2\)"):
        compute_mse(np.zeros((3, 2)), np.zeros((3, 2)))
    with pytest.raises(ValueError, match="1 videos named for 2 utterances"):
        compute_ccc_per_video(np.zeros(2), np.zeros(2), ["a"])
