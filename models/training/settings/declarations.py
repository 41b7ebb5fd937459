"""How a setting of a training is declared, and the settings that several trainings have.

Each setting is declared once, with its limits and a sentence for the user. The other modules of this package say which
training has which settings, and their defaults.
"""

from collections.abc import Mapping
from dataclasses import Field, dataclass, fields
from typing import Any

from models import paper
from models.choices import AROUSAL_OUTPUTS, INITIALISATIONS, LOSSES
from models.inputs.plan import MOST_FRAMES


@dataclass(frozen=True)
class Declaration:
    """The description of a setting.

    Attributes:
        meaning: a sentence or two for its user, with the unit.
        low: smallest number.
        high: largest number.
        choices: words it may be.
        later: whether the setting was added after checkpoints had been made without it. Its default value is then not
            part of their fingerprints.
    """

    meaning: str
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()
    later: bool = False

    def find_fault(self, value: Any) -> str | None:
        """Say what a value must be; None if it is valid."""
        if self.choices and value not in self.choices:
            return f"must be one of {', '.join(self.choices)}"
        # Not `value < low or value > high`: both are False for NaN.
        if self.low is not None and self.high is not None and not self.low <= value <= self.high:
            return f"must be from {self.low:g} to {self.high:.7g}"
        return None


def declare(
    meaning: str,
    low: float | None = None,
    high: float | None = None,
    choices: tuple[str, ...] = (),
    *,
    later: bool = False,
) -> Mapping[str, Any]:
    """Make the metadata of a field that is a setting of a section; the arguments are those of `Declaration`."""
    return {"declaration": Declaration(meaning, low, high, choices, later)}


def get_declaration(of: Field[Any]) -> Declaration | None:
    """Return the declaration of a field; None if the field is not a setting of a section."""
    found: Declaration | None = of.metadata.get("declaration")
    return found


def find_silent(kind: type[Any], values: Mapping[str, Any]) -> set[str]:
    """Return the names of later settings with their default value: these are not part of a fingerprint."""
    declared = ((each, get_declaration(each)) for each in fields(kind))
    return {each.name for each, what in declared if what and what.later and values[each.name] == each.default}


EPOCHS = declare("Number of passes over the training split.", 1, 10_000)
BATCH_SIZE = declare("Utterances per step; batches differ in size by at most one utterance.", 1, 4096)
PAIRS = declare("Utterances per step; a CCC needs at least two.", 2, 4096)
LEARNING_RATE = declare("Learning rate of SGD in the first epoch.", 1e-9, 10)
LEARNING_RATE_STEPS = declare("Epochs, counted from 0; at the start of each, the learning rate is divided by ten.")
MOMENTUM = declare("Momentum of SGD.", 0, 0.999999)
WEIGHT_DECAY = declare("Weight decay of SGD, on all parameters.", 0, 1)
GRADIENT_CLIP = declare(
    "Largest norm of all gradients together; larger gradients are scaled down before the step.", 1e-9, 1e9
)
LOSS = declare(
    "The loss: mse (mean squared error) | ccc (minus the sum of both CCCs) | ccc_sample (the same with variances "
    "that divide by n - 1, as in the notebooks).",
    choices=LOSSES,
)
AROUSAL_OUTPUT = declare(
    "Range of arousal: tanh ([-1, 1], as in the paper) | sigmoid ([0, 1], the range of OMG-Emotion's labels).",
    choices=AROUSAL_OUTPUTS,
)
PATIENCE = declare(
    "The training ends after this many epochs without a better validation CCC; 0 never ends it early.", 0, 10_000
)
AVERAGE_LAST = declare(
    "Number of last epochs; the mean of the weights after each of them is also validated. 1 for no mean.", 1, 10_000
)
NUM_FRAMES = declare("Number of segments of an utterance; one frame is drawn from each.", 1, MOST_FRAMES)
INITIALISATION = declare(
    "Initial weights of the last layer and of ANet's first layer: own (near 0, VNet's orthogonal; ANet's first "
    "layer from ImageNet's) | notebooks (torch's default for any layer).",
    choices=INITIALISATIONS,
    later=True,
)
ORDERED_STARTS = declare(
    "true divides the utterance into as many parts as maps and draws one map of training from each (as the "
    "notebooks do for Joint); false draws each map from anywhere.",
    later=True,
)
RANDOM_STARTS = declare("true draws the maps of training at random; false takes the same maps as evaluation.")
MASK_FREQUENCIES = declare(
    "SpecAugment: largest number of neighbouring frequencies that are set to zero in each map of training; 0 for none.",
    0,
    paper.NUM_FREQUENCIES,
)
MASK_FRAMES = declare(
    "SpecAugment: largest number of consecutive STFT frames that are set to zero in each map of training; 0 for none.",
    0,
    paper.MAP_FRAMES,
)
MIRROR = declare("true mirrors the crops of every second utterance in training; needs backbone = finetune.")
