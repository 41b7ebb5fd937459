"""Reading metrics.jsonl of a training's folder: a line an epoch, checked before anything uses it."""

import logging
from pathlib import Path

from models.training.metrics import EpochMetrics
from store.json_files import parse_json

METRICS = "metrics.jsonl"

logger = logging.getLogger("valar")


def read_metrics(folder: Path) -> list[EpochMetrics]:
    """Read what is known of each epoch of a training.

    Args:
        folder: of its checkpoints.

    Returns:
        The epochs, the first one first; none where the file is gone, or says something else, which is logged. Nothing
        that a network has learnt is in it: what is lost is a curve.
    """
    try:
        lines = (folder / METRICS).read_text(encoding="utf-8").splitlines()
        return [EpochMetrics.from_plain(parse_json(line)) for line in lines]
    except FileNotFoundError:
        return []
    except (OSError, ValueError) as error:
        logger.warning("%s cannot be read, so that its training has no curve: %s", folder / METRICS, error)
        return []
