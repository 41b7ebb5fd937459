"""Which clips chose the epochs, and the scores with the other choice beside where there are such networks."""

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
    """Say which clips chose the epochs.

    Args:
        data: of the report.
        other: what the networks say whose epochs others chose; empty where there are none.
        listings: of each split.
        checkpoints: names of the folders of these networks.

    Returns:
        "split"; of held-out training clips how many "clips" of how many "recordings"; and "other" with its own "split",
        "checkpoints" and "models" (see `score_both`), by network and split, the training split left out.
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
    # Rounded as the written predictions are.
    values = np.round(np.asarray(prediction.values, np.float64), DECIMALS)
    labels = np.asarray(listing.labels, np.float64)
    rows = np.flatnonzero(np.isfinite(labels + values).all(axis=1)).tolist()
    videos, groups = [listing.videos[i] for i in rows], [listing.group(i) for i in rows]
    return score_both(labels[rows], values[rows], videos, groups=groups)
