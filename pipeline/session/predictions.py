"""What a session needs of predictions, without the networks that make them."""

from pathlib import Path
from typing import Protocol


class Predictions(Protocol):
    """The result of a run on clips without labels. pipeline/prediction/ makes it, which takes long to import."""

    @property
    def folder(self) -> Path:
        """The folder of the predictions."""

    @property
    def are_there(self) -> bool:
        """Whether the predictions have been written."""

    def write(self) -> None:
        """Write the predictions."""

    def print(self) -> None:
        """Print where the predictions are."""
