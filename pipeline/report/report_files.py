"""Predictions to `report.json` and the challenge's files, written as one folder."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.report.rows import DECIMALS, DetailRow, format_details, format_predictions
from pipeline.report.scoring import compare_both, score_both, score_videos
from pipeline.training.combining import MEAN
from store.files import flush_file, flush_folder, naming_full_disk, temporary_folder


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
        picture: the ledger's status of each utterance's picture.
        seconds: each clip's length, None where it is not known; empty when none is.
        face_shares: share of each clip's frames with the speaker's face, None where not known; empty when none is.
        groups: the recording of each utterance, which intervals and tests draw; empty for its video.
        shared: whether the networks were trained or chosen on clips of the same recording; empty for nowhere.

    """

    split: str
    names: Sequence[str]
    videos: Sequence[str]
    utterances: Sequence[str]
    labels: np.ndarray | None
    sound: Sequence[str]
    picture: Sequence[str]
    seconds: Sequence[float | None] = ()
    face_shares: Sequence[float | None] = ()
    groups: Sequence[str] = ()
    shared: Sequence[bool] = ()

    def group(self, row: int) -> str:
        """Give the recording of an utterance."""
        return (self.groups or self.videos)[row]


@dataclass(frozen=True)
class ModelPredictions:
    """What one model says of one split.

    Attributes:
        model: "anet", "vnet" or "joint", or a baseline's name.
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
    """A report in memory.

    Attributes:
        content: report.json's.
        files: texts by their path relative to the report's folder.
        rows: of each (model, split), baselines included, in the order of the split's file.
    """

    content: dict[str, Any]
    files: dict[str, str]
    rows: dict[tuple[str, str], list[DetailRow]] = field(default_factory=dict)


def build_report(
    predictions: Sequence[ModelPredictions],
    listings: Sequence[SplitListing],
    *,
    training_mean: np.ndarray,
    provenance: Mapping[str, Any],
    notes: Sequence[str],
    baselines: Sequence[ModelPredictions] = (),
    extra: Mapping[str, Any] | None = None,
    seed: int = 0,
) -> Report:
    """Score every model on every split and compose all files but the page; pure.

    Values are rounded to six decimals first, so that scoring a written file gives the report's own digits.

    Args:
        predictions: one for each model and split.
        listings: one for each split.
        training_mean: (2,) mean arousal and valence of the training split, for rows whose model could see nothing.
        provenance: plain data: what the results rest on.
        notes: what has to be read before the numbers, such as random weights.
        baselines: as `predictions`, of models that are shown beside; they do not count in what all models could see.
        extra: further keys of report.json.
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
    common = {
        listing.split: np.all([_seen(v) for (_, split), v in values.items() if split == listing.split], axis=0)
        for listing in listings
    }
    content: dict[str, Any] = {"models": {}, "baselines": {}}
    rows: dict[tuple[str, str], list[DetailRow]] = {}
    for kind, given in (("models", predictions), ("baselines", baselines)):
        for prediction in given:
            listing = by_split[prediction.split]
            own = _checked(prediction, listing)
            filled = np.where(_seen(own)[:, None], own, mean)
            entry = _score(own, filled, common[prediction.split], listing, seed)
            content[kind].setdefault(prediction.model, {})[prediction.split] = entry
            rows[prediction.model, prediction.split] = _rows(prediction, own, filled, listing)
    content["comparisons"] = {
        listing.split: list(_compare_models(values, common[listing.split], listing, seed)) for listing in listings
    }
    content |= {**(extra or {}), "notes": list(notes), "provenance": dict(provenance)}
    return Report(content, _compose_files(content, rows), rows)


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
    with temporary_folder(folder.parent, folder.name) as temporary:
        whole = temporary / "new"
        for path, text in report.files.items():
            target = whole / path
            target.parent.mkdir(parents=True, exist_ok=True)
            content = text.encode()
            with naming_full_disk(folder / path, len(content)):
                target.write_bytes(content)
                flush_file(target)
        flush_folder(whole)
        if folder.exists():
            folder.rename(temporary / "old")
        whole.rename(folder)
        flush_folder(folder.parent)


def _compose_files(content: dict[str, Any], rows: dict[tuple[str, str], list[DetailRow]]) -> dict[str, str]:
    files = {}
    for (model, split), found in rows.items():
        stem = f"predictions/{model}-{split}"
        files[f"{stem}.csv"], files[f"{stem}.detail.csv"] = format_predictions(found), format_details(found)
    # Strict JSON: no NaN, keys in the order given.
    files["report.json"] = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    return files


def _checked(prediction: ModelPredictions, listing: SplitListing) -> np.ndarray:
    """Return the values, (U, 2) float64 rounded; refuse what does not fit the listing."""
    values = np.round(np.asarray(prediction.values, dtype=np.float64), DECIMALS) + 0.0  # + 0.0 turns -0.0 into 0.0
    what = f"{prediction.model} on {prediction.split}"
    if list(prediction.names) != list(listing.names):
        raise ValueError(
            f"{what}: {len(prediction.names)} names, which differ from the split's {len(listing.names)} names or "
            "their order"
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
        videos, groups = [listing.videos[i] for i in chosen], [listing.group(i) for i in chosen]
        return {"listed": listed, **score_both(labels[chosen], values[chosen], videos, groups=groups, seed=seed)}

    chosen = np.flatnonzero(_seen(own) & labelled).tolist()
    apart = ~np.array(listing.shared or [False] * listed, dtype=bool)
    return {
        **score(own, _seen(own)),
        "predicted": int(_seen(own).sum()),
        "common": score(own, seen_by_all & _seen(own)),
        "filled": score(filled, np.ones(listed, dtype=bool)),
        **({} if apart.all() else {"apart": score(own, _seen(own) & apart)}),
        "videos": score_videos(labels[chosen], own[chosen], [listing.videos[i] for i in chosen]),
    }


def _compare_models(
    values: Mapping[tuple[str, str], np.ndarray], common: np.ndarray, listing: SplitListing, seed: int
) -> Iterator[dict[str, Any]]:
    """Compare each pair of models on what all models could see."""
    if listing.labels is None:
        return
    labels = np.asarray(listing.labels, dtype=np.float64)
    chosen = np.flatnonzero(common & ~np.isnan(labels).any(axis=1)).tolist()
    groups = [listing.group(i) for i in chosen]
    models = [model for model, split in values if split == listing.split]
    for other, one in combinations(models, 2):
        first, second = (values[model, listing.split][chosen] for model in (one, other))
        yield {"one": one, "other": other, **compare_both(labels[chosen], first, second, groups, seed=seed)}


def _rows(prediction: ModelPredictions, own: np.ndarray, filled: np.ndarray, listing: SplitListing) -> list[DetailRow]:
    """Return a row for each utterance of the split."""
    unknown = [None] * len(listing.names)
    labels = np.full_like(filled, np.nan) if listing.labels is None else np.asarray(listing.labels, np.float64)
    return [
        DetailRow(
            video=listing.videos[i],
            utterance=listing.utterances[i],
            values=(float(filled[i, 0]), float(filled[i, 1])),
            rests_on=prediction.rests_on[i] if seen else MEAN,
            sound=listing.sound[i],
            picture=listing.picture[i],
            truth=None if np.isnan(labels[i]).any() else (float(labels[i, 0]), float(labels[i, 1])),
            seconds=(listing.seconds or unknown)[i],
            face_share=(listing.face_shares or unknown)[i],
            recording=listing.group(i),
        )
        for i, seen in enumerate(_seen(own).tolist())
    ]
