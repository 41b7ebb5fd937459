"""Reading metrics.jsonl in a training's folder: one line for each epoch, checked before it is used."""

import logging
from pathlib import Path

from models.training.metrics import EpochMetrics
from store.json_files import parse_json

METRICS = "metrics.jsonl"

logger = logging.getLogger("valar")


def read_metrics(folder: Path) -> list[EpochMetrics]:
    """Read the metrics of each epoch of a training.

    Args:
        folder: folder of the training's checkpoints.

    Returns:
        The epochs in order; empty where the file is missing, or is damaged, which is logged. The networks' weights are
        not in this file: only a curve is lost.
    """
    try:
        lines = (folder / METRICS).read_text(encoding="utf-8").splitlines()
        return [EpochMetrics.from_plain(parse_json(line)) for line in lines]
    except FileNotFoundError:
        return []
    except (OSError, ValueError) as error:
        logger.warning("%s cannot be read, so that its training has no curve: %s", folder / METRICS, error)
        return []
