from types import SimpleNamespace

import numpy as np
import pytest

from models.scores.ccc import compute_ccc
from pipeline.errors import UserError
from pipeline.report.baselines import opensmile_baseline
from pipeline.report.baselines.opensmile_baseline import (
    check_packages,
    fit_support_vectors,
    load_functionals,
    make_opensmile_baselines,
)
from pipeline.report.report_files import SplitListing
from pipeline.runs.outcome.ledger import LedgerRow


def test_a_missing_package_is_named_before_anything_begins(monkeypatch):
    monkeypatch.setattr(opensmile_baseline, "PACKAGES", ("numpy", "no_such_package"))
    with pytest.raises(UserError, match=r"needs the package no_such_package, .* pip install -e '.\[opensmile\]'"):
        check_packages()


def test_finds_a_linear_relation_in_clips_that_it_has_not_seen():
    pytest.importorskip("sklearn")
    rng = np.random.default_rng(0)
    weights = rng.normal(size=(40, 2)) / 40**0.5
    features = rng.normal(size=(300, 40)) * 100 + 7
    labels = np.clip((features - 7) @ weights / 300 + rng.normal(0, 0.05, (300, 2)), -1, 1)
    regress = fit_support_vectors(features[:200], labels[:200], [f"v{i // 5}" for i in range(200)])
    predicted = regress(features[200:])
    assert min(compute_ccc(labels[200:, i], predicted[:, i]) for i in (0, 1)) > 0.8


@pytest.mark.parametrize("num", [1, 2])
def test_a_few_clips_are_no_error(num):
    pytest.importorskip("sklearn")
    features = np.arange(3.0 * num).reshape(num, 3)
    assert np.isfinite(fit_support_vectors(features, np.full((num, 2), 0.5), ["v"] * num)(features)).all()


@pytest.fixture
def experiment(tmp_path):
    """Six clips of noise, louder and louder, the last one without sound."""
    soundfile = pytest.importorskip("soundfile")
    rng = np.random.default_rng(1)
    ledger = {}
    for i in range(6):
        name = f"v{i}/u"
        ledger[name] = LedgerRow(name, "train", "ok", "ok", 100 if i < 5 else 0, 1, "", "", "shard", f"digest{i}")
        path = tmp_path / "store" / "wav" / "fp" / "shard" / f"{name}.wav"
        path.parent.mkdir(parents=True)
        soundfile.write(path, rng.normal(0, 0.01 * 2**i, 16000).clip(-1, 1), 16000)
    run = SimpleNamespace(store=tmp_path / "store", fingerprints={"wav": "fp"}, folder=tmp_path / "runs")
    return SimpleNamespace(run=run, ledger=ledger)


def test_functionals_are_computed_once(experiment, monkeypatch):
    pytest.importorskip("opensmile")
    names = list(experiment.ledger)
    found = load_functionals(experiment, names[:4], "eGeMAPSv02")
    assert list(found) == names[:4]
    assert {row.shape for row in found.values()} == {(88,)}
    loudness = [row[10] for row in found.values()]  # loudness_sma3_amean
    assert loudness == sorted(loudness)
    asked = []
    compute = opensmile_baseline._compute_functionals
    monkeypatch.setattr(
        opensmile_baseline, "_compute_functionals", lambda e, n, f: (asked.extend(n), compute(e, list(asked), f))[1]
    )
    again = load_functionals(experiment, names, "eGeMAPSv02")
    assert asked == names[4:5]
    np.testing.assert_array_equal(again[names[0]], found[names[0]])
    assert names[5] not in again


def test_a_wav_that_is_gone_is_told(experiment):
    pytest.importorskip("opensmile")
    for path in experiment.run.store.rglob("*.wav"):
        path.unlink()
    with pytest.raises(UserError, match=r"u.wav has disappeared, and openSMILE needs it"):
        load_functionals(experiment, list(experiment.ledger), "eGeMAPSv02")


def test_clips_without_sound_have_no_prediction(experiment):
    pytest.importorskip("opensmile")
    pytest.importorskip("sklearn")
    names = list(experiment.ledger)
    labels = np.linspace(0, 1, 12).reshape(6, 2)
    videos, ok = [name.split("/")[0] for name in names], ["ok"] * 6
    listing = SplitListing("train", names, videos, ["u.mp4"] * 6, labels, ok, ok)
    found = list(make_opensmile_baselines(experiment, [listing]))
    assert [prediction.model for prediction in found] == ["egemaps", "compare"]
    for prediction in found:
        assert np.isfinite(prediction.values[:5]).all()
        assert np.isnan(prediction.values[5]).all()
