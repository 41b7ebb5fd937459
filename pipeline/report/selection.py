"""Which clips chose the epochs (`[run] select_on`), and the scores with the other choice where it was trained, too."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from pipeline.report.report_files import ModelPredictions, SplitListing
from pipeline.report.rows import DECIMALS
from pipeline.report.scoring import score_both
from pipeline.training.data import TrainingData, name_other_choice


def describe_selection(
    data: TrainingData,
    other: Sequence[ModelPredictions],
    listings: Sequence[SplitListing],
    checkpoints: Sequence[str] = (),
) -> dict[str, Any]:
    """Describe which clips chose the epochs.

    Args:
        data: the report's data.
        other: predictions of the networks whose epochs were chosen on other clips; empty where there are none.
        listings: one for each split.
        checkpoints: names of the folders of these other networks.

    Returns:
        "split", the value of `[run] select_on`. If it is "train", the numbers of held-out "clips" and of their
        "recordings". And if there are other networks "other", with "split", "checkpoints" and "models": network to
        split (without the training split) to `score_both`.
    """
    split = data.run.settings.run.select_on
    found: dict[str, Any] = {"split": split}
    if split == "train":
        chosen = data.list_part(chooses=True)
        recordings = set(data.run.dataset.grouping.take(u.name for u in chosen))
        found |= {"clips": len(chosen), "recordings": len(recordings)}
    if other:
        by_split = {listing.split: listing for listing in listings}
        scores: dict[str, dict[str, Any]] = {}
        for each in other:
            listing = by_split[each.split]
            if each.split != "train" and listing.labels is not None:
                scores.setdefault(each.model, {})[each.split] = _score(each, listing)
        found["other"] = {"split": name_other_choice(split), "models": scores, "checkpoints": list(checkpoints)}
    return found


def _score(prediction: ModelPredictions, listing: SplitListing) -> dict[str, Any]:
    # Rounded like the predictions in the files.
    values = np.round(np.asarray(prediction.values, np.float64), DECIMALS)
    labels = np.asarray(listing.labels, np.float64)
    rows = np.flatnonzero(np.isfinite(labels + values).all(axis=1)).tolist()
    videos, groups = [listing.videos[i] for i in rows], [listing.group(i) for i in rows]
    return score_both(labels[rows], values[rows], videos, groups=groups)
