"""Makes `report.json` and the challenge's files from predictions, and writes them as one folder."""

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
    """A split; all sequences are in the order of its CSV file.

    Attributes:
        split: train, validation or test.
        names: names of the utterances, "video/utterance" without the file's ending.
        videos: the videos as written in the CSV file.
        utterances: the utterances as written in the CSV file, such as "utterance_1.mp4".
        labels: (U, 2) arousal and valence, NaN rows where an utterance has none; None for a split without labels.
        sound: the status of each utterance's sound.
        picture: the status of each utterance's picture.
        seconds: each clip's length in seconds, None where it is not known; empty where no length is known.
        face_shares: the share of each clip's frames with the speaker's face, None where it is not known; empty where
            none is known.
        groups: the recording of each utterance, the unit of intervals and tests; empty if each video is a recording.
        shared: whether the networks were trained or chosen on clips of the same recording; empty if they never were.

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
    """The predictions of one model for one split.

    Attributes:
        model: "anet", "vnet" or "joint", or a baseline's name.
        split: train, validation or test.
        names: names of the split's utterances in the order of its CSV file.
        values: (U, 2) arousal and valence; NaN rows where the model has no input.
        rests_on: for each row the model that made it, such as "joint" or, where Joint fell back, "anet"; ignored for
            NaN rows.

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
        content: the content of report.json.
        files: path relative to the report's folder, to the file's text.
        rows: (model, split) to its rows in the order of the split's CSV file; baselines included.
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
    """Score every model on every split and compose all files except the page; nothing is read or written.

    Values are first rounded to six decimals, so that scoring a written file gives exactly the report's scores.

    Args:
        predictions: one for each model and split.
        listings: one for each split.
        training_mean: (2,) mean arousal and valence of the training split, for rows whose model has no input.
        provenance: plain data that says what the results depend on.
        notes: sentences to read before the scores, for example about random weights.
        baselines: like `predictions`, for baselines. They do not change which clips count as predicted by all models.
        extra: further keys of report.json.
        seed: seed of the bootstrap intervals.

    Raises:
        ValueError: predictions and listing do not name the same utterances in the same order, a shape is wrong, a
            value is infinite, only one value of a pair is NaN, or the mean is not finite.

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
    """Write a report's files; the folder appears under its name only when it is complete.

    Args:
        folder: the new folder; its parent is made where needed.
        report: the report to write.
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
    # Strict JSON without NaN; the keys keep their order.
    files["report.json"] = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    return files


def _checked(prediction: ModelPredictions, listing: SplitListing) -> np.ndarray:
    """Return the rounded values, (U, 2) float64; raise ValueError where they do not fit the listing."""
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
    """Tell for each row whether the model had an input, (U,) bool."""
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
    """Compare each pair of models on the clips that all models could predict."""
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
