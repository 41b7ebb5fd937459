"""Settings that all three trainings have, and the names of the networks' usual inputs."""

from collections.abc import Iterator
from dataclasses import dataclass, field, fields

from models import paper
from models.choices import ARITHMETICS, CHANNEL_ORDERS, Arithmetic, ArousalOutput, Initialisation, Loss
from models.training.settings.declarations import (
    AROUSAL_OUTPUT,
    AVERAGE_LAST,
    GRADIENT_CLIP,
    INITIALISATION,
    LOSS,
    MOMENTUM,
    PATIENCE,
    WEIGHT_DECAY,
    Declaration,
    get_declaration,
)

#: Name of the cached embeddings among the features of faces.
SPHEREFACE = "sphereface20"
#: Name of the sound's transform among the features of sound.
STFT = "stft"


def split_names(text: str) -> tuple[str, ...]:
    """Read names with commas between them.

    >>> split_names("sphereface20, mini")
    ('sphereface20', 'mini')
    """
    return tuple(part.strip() for part in text.split(",") if part.strip())


@dataclass(frozen=True, kw_only=True)
class TrainingSettings:
    """The settings that all three have. declarations.py says what each means.

    Attributes:
        learning_rate_factor: factor by which each step multiplies the learning rate.
        precision: of the arithmetic (see `computing_in`).
    """

    epochs: int
    batch_size: int
    learning_rate: float
    learning_rate_steps: tuple[int, ...]
    learning_rate_factor: float = paper.LEARNING_RATE_FACTOR
    momentum: float = field(default=paper.MOMENTUM, metadata=MOMENTUM)
    weight_decay: float = field(default=paper.WEIGHT_DECAY, metadata=WEIGHT_DECAY)
    gradient_clip: float = field(default=paper.GRADIENT_CLIP, metadata=GRADIENT_CLIP)
    loss: Loss = field(default="mse", metadata=LOSS)
    arousal_output: ArousalOutput = field(default="tanh", metadata=AROUSAL_OUTPUT)
    patience: int = field(default=0, metadata=PATIENCE)
    average_last: int = field(default=1, metadata=AVERAGE_LAST)
    initialisation: Initialisation = field(default="own", metadata=INITIALISATION)
    precision: Arithmetic = "float32"

    def __post_init__(self) -> None:
        """Refuse values that cannot work.

        Raises:
            ValueError: names each such setting, its value and what it may be.
        """
        if faults := list(self._find_wrong_values()) or list(self._find_contradictions()):
            raise ValueError("; ".join(faults))

    def _find_wrong_values(self) -> Iterator[str]:
        others = {"precision": ARITHMETICS, "channel_order": CHANNEL_ORDERS}
        for each in fields(self):
            declaration = get_declaration(each) or Declaration("", choices=others.get(each.name, ()))
            value = getattr(self, each.name)
            if fault := declaration.find_fault(value):
                yield f"{each.name} ({value!r}) {fault}"
        if not self.learning_rate_factor > 0:
            yield f"learning_rate_factor ({self.learning_rate_factor}) must be above 0"

    def _find_contradictions(self) -> Iterator[str]:
        """Give a sentence for each pair of settings that are valid alone but not together."""
        if self.average_last > self.epochs:
            yield f"average_last ({self.average_last}) must be at most epochs ({self.epochs})"
        if self.average_last > 1 and self.patience:
            yield (
                f"average_last ({self.average_last}) needs patience = 0, not {self.patience}: it has to be known "
                "beforehand which epochs are the last"
            )
        if self.patience >= self.epochs:
            yield f"patience ({self.patience}) must be below epochs ({self.epochs}): it ends no training otherwise"
        if self.loss != "mse" and self.batch_size < 2:
            yield f"loss ({self.loss}) needs a batch_size of 2 or more: a single clip has no CCC to learn from"


def find_idle_starts(*, num_maps: int, random_starts: bool, ordered_starts: bool) -> Iterator[str]:
    """Say where `ordered_starts` changes nothing."""
    if ordered_starts and not random_starts:
        yield "ordered_starts (true) needs random_starts = true: maps that are spread evenly are in order already"
    elif ordered_starts and num_maps == 1:
        yield "ordered_starts (true) needs num_maps above 1: a single map is drawn from the whole clip either way"
