"""Predictions to `report.json`, the challenge's files and the table beside the paper's."""

import csv
import io
import json
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.scoring import score_both
from store.files import flush_file, flush_folder

MODELS = ("anet", "vnet", "joint")
DECIMALS = 6  # of a prediction in the files: below what float32 carries, and the scores are those of the files
MEAN = "mean"  # what a row rests on when its model could see nothing: the mean label of the training split
COLUMNS = ("video", "utterance", "arousal", "valence")


@dataclass(frozen=True)
class SplitListing:
    """A split as its CSV file lists it; all sequences in that order.

    Attributes:
        split: its name.
        names: identities, "video/utterance" without the file's ending.
        videos: as in the file.
        utterances: as in the file, such as "utterance_1.mp4".
        labels: (U, 2) arousal and valence, NaN rows where an utterance has none; None for a split without labels.
        sound: the ledger's status of each utterance's sound.
        picture: likewise of its picture.

    """

    split: str
    names: Sequence[str]
    videos: Sequence[str]
    utterances: Sequence[str]
    labels: np.ndarray | None
    sound: Sequence[str]
    picture: Sequence[str]


@dataclass(frozen=True)
class ModelPredictions:
    """What one model says of one split.

    Attributes:
        model: "anet", "vnet" or "joint".
        split: the split.
        names: the split's identities in the file's order.
        values: (U, 2) arousal and valence; NaN rows where the model could see nothing.
        rests_on: per row what made it, such as "joint" or, where Joint fell back, "anet"; ignored in NaN rows.

    """

    model: str
    split: str
    names: Sequence[str]
    values: np.ndarray
    rests_on: Sequence[str]


@dataclass(frozen=True)
class Report:
    """A report in memory: report.json's content, and the files' texts by their path relative to it."""

    content: dict[str, Any]
    files: dict[str, str]


def build_report(
    predictions: Sequence[ModelPredictions],
    listings: Sequence[SplitListing],
    *,
    training_mean: np.ndarray,
    provenance: Mapping[str, Any],
    notes: Sequence[str],
    seed: int = 0,
) -> Report:
    """Score every model on every split and compose all files; pure.

    Values are rounded to six decimals first, so that scoring a written file gives the report's own digits.

    Args:
        predictions: one for each model and split.
        listings: one for each split.
        training_mean: (2,) mean arousal and valence of the training split, for rows whose model could see nothing.
        provenance: plain data: what the results rest on.
        notes: what has to be read before the numbers, such as random weights.
        seed: of the bootstrap intervals.

    Raises:
        ValueError: predictions and listing do not name the same utterances in the same order, a shape is wrong, a
            value is infinite or a pair is NaN by half, or the mean is not finite.

    """
    mean = np.round(np.asarray(training_mean, dtype=np.float64), DECIMALS)
    if mean.shape != (2,) or not np.isfinite(mean).all():
        raise ValueError(f"training_mean is {mean.tolist()}; it must be two finite numbers, arousal and valence")
    by_split = {listing.split: listing for listing in listings}
    values = {(p.model, p.split): _checked(p, by_split[p.split]) for p in predictions}
    models: dict[str, dict[str, Any]] = {}
    files: dict[str, str] = {}
    for prediction in predictions:
        listing = by_split[prediction.split]
        own = values[prediction.model, prediction.split]
        seen_by_all = np.all([_seen(v) for (_, split), v in values.items() if split == prediction.split], axis=0)
        filled = np.where(_seen(own)[:, None], own, mean)
        models.setdefault(prediction.model, {})[prediction.split] = _score(own, filled, seen_by_all, listing, seed)
        stem = f"predictions/{prediction.model}-{prediction.split}"
        files[f"{stem}.csv"], files[f"{stem}.detail.csv"] = _files(prediction, own, filled, listing)
    content = {"models": models, "notes": list(notes), "provenance": dict(provenance)}
    return Report(content, {**files, "report.json": _as_json(content)})


def write_report(folder: Path, report: Report, *, replace: bool = False) -> None:
    """Write a report's files; the folder appears under its name only when it is whole.

    Args:
        folder: does not exist, or is replaced when `replace` is set; its parent is made where needed.
        report: what to write.
        replace: whether an existing folder may be replaced.

    Raises:
        FileExistsError: the folder exists and `replace` is not set.

    """
    if folder.exists() and not replace:
        raise FileExistsError(f"{folder} exists; a report is not overwritten unless replace=True")
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", suffix=".part", dir=folder.parent))
    try:
        whole = temporary / "new"
        for path, text in report.files.items():
            target = whole / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, encoding="utf-8", newline="")
            flush_file(target)
        flush_folder(whole)
        if folder.exists():
            folder.rename(temporary / "old")
        whole.rename(folder)
        flush_folder(folder.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _checked(prediction: ModelPredictions, listing: SplitListing) -> np.ndarray:
    """Return the values, (U, 2) float64 rounded; refuse what does not fit the listing."""
    values = np.round(np.asarray(prediction.values, dtype=np.float64), DECIMALS) + 0.0  # + 0.0 turns -0.0 into 0.0
    what = f"{prediction.model} on {prediction.split}"
    if list(prediction.names) != list(listing.names):
        raise ValueError(
            f"{what}: {len(prediction.names)} names that are not the split's {len(listing.names)} in its order"
        )
    if values.shape != (len(listing.names), 2) or len(prediction.rests_on) != len(listing.names):
        raise ValueError(
            f"{what}: values of shape {values.shape} and {len(prediction.rests_on)} sources for {len(listing.names)} "
            "utterances; expected (utterances, 2) and one source each"
        )
    bad = np.isinf(values).any(axis=1) | (np.isnan(values).sum(axis=1) == 1)
    if bad.any():
        row = int(np.argmax(bad))
        raise ValueError(f"{what}: {listing.names[row]} has {values[row].tolist()}; expected two numbers or two NaN")
    return values


def _seen(values: np.ndarray) -> np.ndarray:
    """Return which rows a model could see, (U,) bool."""
    return ~np.isnan(values).any(axis=1)


def _score(
    own: np.ndarray, filled: np.ndarray, seen_by_all: np.ndarray, listing: SplitListing, seed: int
) -> dict[str, Any]:
    """Return report.json's entry of one model and split."""
    listed = len(listing.names)
    if listing.labels is None:
        return {"listed": listed, "predicted": int(_seen(own).sum()), "scored": 0}
    labels = np.asarray(listing.labels, dtype=np.float64)
    labelled = ~np.isnan(labels).any(axis=1)

    def score(values: np.ndarray, rows: np.ndarray) -> dict[str, Any]:
        chosen = np.flatnonzero(rows & labelled).tolist()
        videos = [listing.videos[i] for i in chosen]
        return {"listed": listed, **score_both(labels[chosen], values[chosen], videos, seed=seed)}

    everything = np.ones(listed, dtype=bool)
    return {
        **score(own, _seen(own)),
        "predicted": int(_seen(own).sum()),
        "common": score(own, seen_by_all),
        "filled": score(filled, everything),
    }


def _files(prediction: ModelPredictions, own: np.ndarray, filled: np.ndarray, listing: SplitListing) -> tuple[str, str]:
    """Return the challenge's file and the one that says what each row rests on."""
    plain, detail = [list(COLUMNS)], [[*COLUMNS, "rests_on", "sound", "picture"]]
    for i, seen in enumerate(_seen(own).tolist()):
        row = [listing.videos[i], listing.utterances[i], *(f"{value:.{DECIMALS}f}" for value in filled[i])]
        plain.append(row)
        detail.append([*row, prediction.rests_on[i] if seen else MEAN, listing.sound[i], listing.picture[i]])
    return _as_csv(plain), _as_csv(detail)


def _as_csv(rows: Sequence[Sequence[str]]) -> str:
    """Return rows as CSV text."""
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def _as_json(content: Mapping[str, Any]) -> str:
    """Return strict JSON: no NaN, keys in the order given."""
    return json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
