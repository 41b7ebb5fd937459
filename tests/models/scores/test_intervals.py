import numpy as np
import pytest
import scipy.stats

from models.scores.ccc import compute_ccc
from models.scores.intervals import bootstrap_interval, compare_ccc, compute_score, quantiles, resample_ccc

NAN = float("nan")


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


def some_models(num_videos, per_video=4, seed=2):
    rng = np.random.default_rng(seed)
    n = num_videos * per_video
    truth = rng.uniform(-1, 1, n)
    better, worse = 0.8 * truth + rng.normal(0, 0.2, n), 0.4 * truth + rng.normal(0, 0.4, n)
    return truth, better, worse, [f"v{i // per_video}" for i in range(n)]


def test_utterances_as_units_are_resampled_one_by_one():
    truth, prediction, _, videos = some_models(10)
    alone = [f"{i:03}" for i in range(len(truth))]
    assert bootstrap_interval(truth, prediction, videos, unit="utterances") == bootstrap_interval(
        truth, prediction, alone
    )
    assert bootstrap_interval(truth, prediction, videos, unit="utterances") != bootstrap_interval(
        truth, prediction, videos
    )
    # SciPy's paired percentile bootstrap draws utterances.
    theirs = scipy.stats.bootstrap(
        (truth, prediction),
        lambda t, p: compute_ccc(t, p),
        paired=True,
        vectorized=False,
        n_resamples=3000,
        method="percentile",
        rng=np.random.default_rng(0),
    ).confidence_interval
    ours = bootstrap_interval(truth, prediction, videos, unit="utterances", num_resamples=3000)
    np.testing.assert_allclose(ours, theirs, atol=0.015)


def test_resamples_do_not_depend_on_how_many_are_held_at_once(monkeypatch):
    truth, prediction, _, videos = some_models(10)
    whole = resample_ccc(truth, prediction, videos)
    monkeypatch.setattr("models.scores.intervals.CELLS_AT_ONCE", 70)
    np.testing.assert_allclose(resample_ccc(truth, prediction, videos), whole, rtol=1e-12)


def test_p_value_equals_scipys_exact_permutation_test():
    truth, better, worse, videos = some_models(8, per_video=1, seed=4)

    def statistic(one, other):
        return compute_ccc(truth, one) - compute_ccc(truth, other)

    theirs = scipy.stats.permutation_test(
        (better, worse), statistic, permutation_type="samples", vectorized=False, n_resamples=np.inf
    )
    ours = compare_ccc(truth, better, worse, videos)
    assert ours.difference == pytest.approx(theirs.statistic)
    assert ours.p_value == pytest.approx(theirs.pvalue)


def test_random_swaps_come_near_all_swaps():
    truth, better, worse, videos = some_models(9, per_video=2, seed=5)
    exact = compare_ccc(truth, better, worse, videos, num_resamples=512)
    drawn = compare_ccc(truth, better, worse, videos, num_resamples=511)
    assert drawn.p_value == pytest.approx(exact.p_value, abs=0.05)
    assert drawn.p_value >= 1 / 512


def test_comparison_tells_models_apart_and_equal_ones_not():
    truth, better, worse, videos = some_models(20)
    found = compare_ccc(truth, better, worse, videos)
    assert found.difference == pytest.approx(compute_ccc(truth, better) - compute_ccc(truth, worse))
    assert 0 < found.low < found.difference < found.high
    assert found.p_value < 0.01
    back = compare_ccc(truth, worse, better, videos)
    assert (back.difference, back.low, back.high) == pytest.approx((-found.difference, -found.high, -found.low))
    assert back.p_value == found.p_value
    same = compare_ccc(truth, better, better, videos)
    assert (same.difference, same.low, same.high, same.p_value) == (0, 0, 0, 1)


def test_p_values_of_like_models_are_spread_evenly():
    rng = np.random.default_rng(11)
    p_values = []
    for seed in range(150):
        truth, better, _, videos = some_models(12, per_video=3, seed=seed)
        other = 0.8 * truth + rng.normal(0, 0.2, 36)
        p_values.append(compare_ccc(truth, better, other, videos, num_resamples=199).p_value)
    assert np.mean(np.array(p_values) <= 0.2) == pytest.approx(0.2, abs=0.1)
    assert np.mean(p_values) == pytest.approx(0.5, abs=0.08)


@pytest.mark.parametrize(
    ("truth", "one", "videos"),
    [([0.1, 0.4], [0.2, 0.3], ["a", "a"]), ([0.4, 0.4], [0.2, 0.3], ["a", "b"]), ([], [], [])],
)
def test_comparison_is_undefined(truth, one, videos):
    found = compare_ccc(np.array(truth), np.array(one), np.array(one), videos)
    assert np.isnan([found.low, found.high, found.p_value]).all()


def test_quantiles_leave_out_what_is_no_number():
    assert quantiles(np.array([0.0, NAN, 1.0]), level=0.5) == (0.25, 0.75)
    assert np.isnan(quantiles(np.array([NAN]))).all()
