from types import SimpleNamespace

import numpy as np
import pytest

from models.scores.ccc import compute_ccc
from pipeline.report.baselines import closed_form
from pipeline.report.baselines.closed_form import fit_fusion, fit_ridge, fuse_apart, pool_embeddings
from pipeline.report.report_files import SplitListing

NAN = float("nan")


def test_pooling_is_mean_and_deviation_of_the_faces():
    faces = np.array([[1.0, 2.0], [3.0, 2.0]], np.float32)
    pooled = pool_embeddings([faces, None, faces[:1]], size=2)
    np.testing.assert_array_equal(pooled[0], [2, 2, 1, 0])
    assert np.isnan(pooled[1]).all()
    np.testing.assert_array_equal(pooled[2], [1, 2, 0, 0])
    assert pool_embeddings([None, None]).shape == (2, 1024)


def make_data(num, *, noise, seed=0, num_features=30):
    rng = np.random.default_rng(seed)
    weights = np.random.default_rng(99).normal(size=(num_features, 2)) / num_features**0.5
    features = rng.normal(size=(num, num_features))
    labels = np.clip(0.3 * (features @ weights) + noise * rng.normal(size=(num, 2)) + [0.4, 0.0], -1, 1)
    return features, labels, [f"v{i // 5}" for i in range(num)]


def test_ridge_finds_a_linear_relation_in_clips_that_it_has_not_seen():
    features, labels, videos = make_data(200, noise=0.1)
    unseen, truth, _ = make_data(100, noise=0.1, seed=1)
    predicted = fit_ridge(features, labels, videos)(unseen)
    assert min(compute_ccc(truth[:, i], predicted[:, i]) for i in (0, 1)) > 0.8
    np.testing.assert_allclose(predicted.std(axis=0), truth.std(axis=0), rtol=0.25)


def test_ridge_learns_nothing_from_noise():
    rng = np.random.default_rng(0)
    features, _, videos = make_data(200, noise=0.1)
    predicted = fit_ridge(features, rng.uniform(-1, 1, (200, 2)), videos)(make_data(200, noise=0.1, seed=1)[0])
    _, truth, _ = make_data(200, noise=0.1, seed=1)
    assert abs(compute_ccc(truth[:, 0], predicted[:, 0])) < 0.3


@pytest.mark.parametrize("num", [50, 12])  # more clips than features, and fewer
def test_one_penalty_equals_the_normal_equations(num):
    features, labels, _ = make_data(num, noise=0.1)
    ((_, apply),) = closed_form._solve(features, labels, [0.5])
    inputs = (features - features.mean(0)) / features.std(0)
    penalty = 0.5 * np.trace(inputs.T @ inputs) / 30
    weights = np.linalg.solve(inputs.T @ inputs + penalty * np.eye(30), inputs.T @ (labels - labels.mean(0)))
    np.testing.assert_allclose(apply(features), inputs @ weights + labels.mean(0), rtol=1e-9)
    unseen, _, _ = make_data(20, noise=0.1, seed=1)
    expected = (unseen - features.mean(0)) / features.std(0) @ weights + labels.mean(0)
    np.testing.assert_allclose(apply(unseen), expected, rtol=1e-9)


@pytest.mark.parametrize("num", [1, 2, 3])
def test_ridge_of_a_few_clips_is_finite(num):
    features, labels, _ = make_data(num, noise=0.1)
    assert np.isfinite(fit_ridge(features, labels, ["v"] * num)(features)).all()
    assert np.isnan(fit_ridge(features, labels, ["v"] * num)(np.full((1, 30), NAN))).all()


def test_fusion_weighs_the_better_network_more_and_falls_back():
    rng = np.random.default_rng(3)
    labels = rng.uniform(-1, 1, (300, 2))
    anet, vnet = labels + rng.normal(0, 0.8, (300, 2)), labels + rng.normal(0, 0.3, (300, 2))
    fuse = fit_fusion(anet[:200], vnet[:200], labels[:200])
    fused = fuse(anet[200:], vnet[200:])
    alone = [compute_ccc(labels[200:, 0], values[200:, 0]) for values in (anet, vnet)]
    assert compute_ccc(labels[200:, 0], fused[:, 0]) > max(alone)
    given = fuse(np.array([[0.1, 0.2], [NAN, NAN], [NAN, NAN]]), np.array([[NAN, NAN], [0.3, 0.4], [NAN, NAN]]))
    np.testing.assert_array_equal(given, [[0.1, 0.2], [0.3, 0.4], [NAN, NAN]])


@pytest.mark.parametrize("select_on", ["train", "validation"])
def test_fusion_is_fitted_to_the_clips_that_chose_the_epochs(select_on):
    """On the clips that they were trained on, the networks know the answers, and fusion must not be fitted to these."""
    rng = np.random.default_rng(3)
    labels = rng.uniform(-1, 1, (300, 2))
    names = [f"{'held' if i < 100 else 'v'}{i}/1" for i in range(300)]
    groups = [f"r{i // 5}" for i in range(300)]
    by_split = {
        split: SplitListing(
            split, names, ["v"] * 300, ["1.mp4"] * 300, labels, ["ok"] * 300, ["ok"] * 300, groups=groups
        )
        for split in ("train", "validation")
    }
    # ANet repeats the labels of the clips that it was trained on and is random elsewhere; VNet is good everywhere.
    anet, vnet = rng.uniform(-1, 1, (300, 2)), labels + rng.normal(0, 0.3, (300, 2))
    learnt = np.where(np.arange(300)[:, None] < 100, anet, labels)
    of = {
        ("anet", "train"): learnt,
        ("vnet", "train"): vnet,
        ("anet", "validation"): anet,
        ("vnet", "validation"): vnet,
    }
    chosen = [SimpleNamespace(name=name) for name in (names[:100] if select_on == "train" else names)]
    run = SimpleNamespace(settings=SimpleNamespace(run=SimpleNamespace(select_on=select_on)))
    data = SimpleNamespace(run=run, list_part=lambda *, chooses: chosen if chooses else None)
    fused = closed_form._fuse_splits(data, by_split, of)
    assert compute_ccc(labels[:, 0], fused["validation"][:, 0]) > 0.8
    # The other split uses weights that were fitted to all chosen clips; the chosen clips themselves use weights that
    # were fitted to other recordings.
    rows, there = (np.arange(100), "train") if select_on == "train" else (np.arange(300), "validation")
    of_all = fit_fusion(of["anet", there][rows], of["vnet", there][rows], labels[rows])
    other = {"train": "validation", "validation": "train"}[there]
    np.testing.assert_array_equal(fused[other], of_all(of["anet", other], of["vnet", other]))
    apart = fuse_apart(of["anet", there][rows], of["vnet", there][rows], labels[rows], [groups[i] for i in rows])
    np.testing.assert_array_equal(fused[there][rows], apart)


def test_no_label_of_a_recording_has_a_part_in_its_own_fusion():
    rng = np.random.default_rng(5)
    labels, anet, vnet = (rng.uniform(-1, 1, (100, 2)) for _ in range(3))
    groups = [f"r{i // 4}" for i in range(100)]
    before = fuse_apart(anet, vnet, labels, groups)
    changed = labels.copy()
    changed[40:44] = -changed[40:44]
    after = fuse_apart(anet, vnet, changed, groups)
    np.testing.assert_array_equal(after[40:44], before[40:44])
    assert (after[:40] != before[:40]).any()
    # Networks with random predictions: if fusion is fitted to the labels that are scored, its CCC is above chance.
    many = [rng.uniform(-1, 1, (40, 2)) for _ in range(60)]
    chances = [(many[i], many[i + 1], many[i + 2]) for i in range(0, 60, 3)]
    seen = [compute_ccc(y[:, 0], fit_fusion(a, b, y)(a, b)[:, 0]) for a, b, y in chances]
    apart = [compute_ccc(y[:, 0], fuse_apart(a, b, y, [str(i) for i in range(40)])[:, 0]) for a, b, y in chances]
    assert np.mean(seen) > 0.1
    assert np.mean(apart) < 0.05


def test_fusion_of_one_recording_is_the_mean():
    fused = fuse_apart(np.zeros((30, 2)), np.ones((30, 2)), np.zeros((30, 2)), ["r"] * 30)
    np.testing.assert_array_equal(fused, np.full((30, 2), 0.5))


def test_fusion_with_little_to_fit_to_is_the_mean():
    fuse = fit_fusion(np.zeros((3, 2)), np.ones((3, 2)), np.zeros((3, 2)))
    np.testing.assert_array_equal(fuse(np.array([[0.0, 0.4]]), np.array([[1.0, 0.6]])), [[0.5, 0.5]])
    fuse = fit_fusion(np.zeros((0, 2)), np.zeros((0, 2)), np.zeros((0, 2)))
    np.testing.assert_array_equal(fuse(np.array([[0.0, 0.4]]), np.array([[1.0, 0.6]])), [[0.5, 0.5]])
