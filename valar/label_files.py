"""Labels from CSV files for the store's commands, read by the pipeline's own reader."""

import math
from collections.abc import Mapping
from pathlib import Path

from store.errors import StoreError
from store.labels import Label


def read_label_files(paths: Mapping[str, Path]) -> tuple[dict[str, Label], list[str]]:
    """Read the CSV file of each split.

    Args:
        paths: Split to file.

    Returns:
        Utterance to its label, and a sentence for each row that was left out.

    Raises:
        StoreError: A file cannot be used; the message names every fault with its line.
    """
    from pipeline.dataset.utterances import read_dataset
    from pipeline.errors import UserError
    from pipeline.settings import config

    try:
        config.load()
        dataset = read_dataset(paths, label_range=config.dataset().label_range)
    except UserError as error:
        raise StoreError(str(error)) from error
    labels = {
        row.name: Label(
            row.split,
            math.nan if row.arousal is None else row.arousal,
            math.nan if row.valence is None else row.valence,
        )
        for row in dataset.utterances
    }
    return labels, list(dataset.warnings)
