"""The paper's audio baseline: openSMILE's functionals of a whole clip, and a support vector regressor.

It needs further packages (`pip install -e .[opensmile]`); openSMILE's licence allows research only.
"""

import importlib.util
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.errors import UserError
from pipeline.report.baselines.closed_form import NUM_FOLDS, spread_like, total_ccc
from pipeline.report.report_files import ModelPredictions, SplitListing
from pipeline.training.data import TrainingData
from pipeline.training.folds import split_folds
from store import files
from store.layout import wav_path

PACKAGES = ("opensmile", "sklearn")
#: Name of the baseline to openSMILE's name of its feature set.
FEATURE_SETS = {"egemaps": "eGeMAPSv02", "compare": "ComParE_2016"}
#: The complexities that are tried, for features scaled to standard deviation 1 and divided by the root of their number.
COMPLEXITIES = (0.001, 0.01, 0.1, 1.0, 10.0)


def check_packages() -> None:
    """Check that openSMILE and scikit-learn are installed.

    Raises:
        UserError: A package is missing; the message says how to install it.
    """
    missing = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        raise UserError(
            f"[run] opensmile = true needs the package {missing[0]}, which is not installed; "
            "pip install -e '.[opensmile]' (openSMILE's licence is for research only), or set it to false"
        )


def make_opensmile_baselines(data: TrainingData, listings: Sequence[SplitListing]) -> Iterator[ModelPredictions]:
    """Fit and apply the baselines of both feature sets on every split; clips without sound get NaN.

    Args:
        data: the clips with their features.
        listings: one for each split.
    """
    train = next(listing for listing in listings if listing.split == "train")
    assert train.labels is not None  # without training labels no network could have been trained
    labels = np.asarray(train.labels, np.float64)
    for name, feature_set in FEATURE_SETS.items():
        of = load_functionals(data, [n for listing in listings for n in listing.names], feature_set)
        width = next((len(row) for row in of.values()), 0)
        stacked = {
            listing.split: np.stack([of.get(n, np.full(width, np.nan)) for n in listing.names]) for listing in listings
        }
        chosen = np.flatnonzero(np.isfinite(labels).all(axis=1) & np.isfinite(stacked["train"]).all(axis=1))
        groups = [train.group(i) for i in chosen.tolist()]
        regress = fit_support_vectors(stacked["train"][chosen], labels[chosen], groups)
        for listing in listings:
            values = np.full((len(listing.names), 2), np.nan)
            seen = np.isfinite(stacked[listing.split]).all(axis=1)
            if seen.any():
                values[seen] = regress(stacked[listing.split][seen])
            yield ModelPredictions(name, listing.split, listing.names, values, [name] * len(listing.names))


def load_functionals(data: TrainingData, names: Iterable[str], feature_set: str) -> dict[str, np.ndarray]:
    """Give the functionals of every clip with sound; those that an earlier report computed are read from a file.

    Returns:
        Name to (F,) float32; 0 where openSMILE gives no number.
    """
    path = data.run.folder / "opensmile" / f"{feature_set}.npz"
    known: dict[str, np.ndarray] = {}
    if path.is_file():
        with np.load(path) as stored:
            known = dict(zip(stored["digests"].tolist(), stored["functionals"], strict=True))
    digests = {name: data.ledger[name].identity for name in names if data.ledger[name].has_sound}
    waiting = {digest: name for name, digest in digests.items() if digest not in known}
    if waiting:
        known |= dict(zip(waiting, _compute_functionals(data, waiting.values(), feature_set), strict=True))
        with files.replacing(path) as partial, partial.open("wb") as file:
            np.savez(file, digests=np.array(list(known)), functionals=np.stack(list(known.values())))
    return {name: known[digest] for name, digest in digests.items()}


def _compute_functionals(data: TrainingData, names: Iterable[str], feature_set: str) -> Iterator[np.ndarray]:
    import opensmile
    import soundfile

    smile = opensmile.Smile(opensmile.FeatureSet[feature_set], opensmile.FeatureLevel.Functionals)
    for name in names:
        run = data.run
        path = wav_path(run.store, run.fingerprints["wav"], data.ledger[name].shard, name)
        sound, sample_rate = soundfile.read(_require(path), dtype="float32")
        yield np.nan_to_num(smile.process_signal(sound, sample_rate).to_numpy(np.float32)[0])


def _require(path: Path) -> Path:
    if not path.is_file():
        raise UserError(f"{path} has disappeared, and openSMILE needs it; run with [run] opensmile = false")
    return path


def fit_support_vectors(features: np.ndarray, labels: np.ndarray, groups: Sequence[str]) -> Any:
    """Fit a linear support vector regressor for each dimension.

    The complexity is the one with the highest CCC on held-out recordings. The output is scaled to the labels' mean and
    standard deviation, like that of ridge regression.

    Args:
        features: (N, F), finite.
        labels: (N, 2).
        groups: the recording of each row.

    Returns:
        (M, F) -> (M, 2) within [-1, 1].
    """
    centre, scale = features.mean(axis=0), features.std(axis=0)
    scale = np.where(scale > 0, scale, 1) * features.shape[1] ** 0.5
    inputs = ((features - centre) / scale).astype(np.float64)
    gram, folds = inputs @ inputs.T, split_folds(groups, NUM_FOLDS)
    held_out = {complexity: np.full(labels.shape, np.nan) for complexity in COMPLEXITIES}
    if len(np.unique(folds)) > 1:
        for fold in np.unique(folds):
            inside, outside = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
            for complexity in COMPLEXITIES:
                fitted = _fit(gram[np.ix_(inside, inside)], labels[inside], complexity)
                held_out[complexity][outside] = _apply(fitted, gram[np.ix_(outside, inside)])
    best = max(COMPLEXITIES, key=lambda complexity: total_ccc(labels, held_out[complexity]))
    fitted = _fit(gram, labels, best)

    def regress(given: np.ndarray) -> np.ndarray:
        return _apply(fitted, ((given - centre) / scale) @ inputs.T)

    measured = held_out[best] if np.isfinite(held_out[best]).all() else regress(features)
    return spread_like(labels, measured, regress)


def _fit(gram: np.ndarray, labels: np.ndarray, complexity: float) -> list[Any]:
    from sklearn.svm import SVR

    return [SVR(kernel="precomputed", C=complexity, epsilon=0.1).fit(gram, labels[:, i]) for i in range(2)]


def _apply(fitted: list[Any], gram: np.ndarray) -> np.ndarray:
    return np.stack([regressor.predict(gram) for regressor in fitted], axis=1)
