"""How a setting of a training is declared, and the settings that several trainings have.

Each stands once: its limits and a sentence for its user. The modules beside this one say which training has which,
and its default.
"""

from collections.abc import Mapping
from dataclasses import Field, dataclass, fields
from typing import Any

from models import paper
from models.choices import AROUSAL_OUTPUTS, INITIALISATIONS, LOSSES
from models.inputs.plan import MOST_FRAMES


@dataclass(frozen=True)
class Declaration:
    """What is said of a setting.

    Attributes:
        meaning: a sentence or two for its user, with the unit.
        low: smallest number.
        high: largest number.
        choices: words it may be.
        later: whether it came after checkpoints had been made without it: at its default it is then no part of what
            they are known by.
    """

    meaning: str
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()
    later: bool = False

    def find_fault(self, value: Any) -> str | None:
        """Say what a value must be; None where it is right."""
        if self.choices and value not in self.choices:
            return f"must be one of {', '.join(self.choices)}"
        # The other way round, a NaN would pass.
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
    """Give what is declared of a field; None where a section does not have it."""
    found: Declaration | None = of.metadata.get("declaration")
    return found


def find_silent(kind: type[Any], values: Mapping[str, Any]) -> set[str]:
    """Name the later settings that are at their default: a checkpoint made before them is known without."""
    declared = ((each, get_declaration(each)) for each in fields(kind))
    return {each.name for each, what in declared if what and what.later and values[each.name] == each.default}


EPOCHS = declare("Passes over the training split.", 1, 10_000)
BATCH_SIZE = declare("Utterances per step; batches differ in size by one utterance at most.", 1, 4096)
PAIRS = declare("Utterances per step; a CCC needs two.", 2, 4096)
LEARNING_RATE = declare("Learning rate of SGD in the first epoch.", 1e-9, 10)
LEARNING_RATE_STEPS = declare("Epochs, counted from 0, at whose start the rate is divided by ten.")
MOMENTUM = declare("Momentum of SGD.", 0, 0.999999)
WEIGHT_DECAY = declare("Weight decay of SGD, on all parameters.", 0, 1)
GRADIENT_CLIP = declare("Largest norm over all gradients; a larger one is scaled down before the step.", 1e-9, 1e9)
LOSS = declare(
    "What training minimises: mse (mean squared error) | ccc (minus the sum of both CCC) | ccc_sample (the same with "
    "variances that divide by n - 1, as in the notebooks).",
    choices=LOSSES,
)
AROUSAL_OUTPUT = declare(
    "Range of arousal: tanh ([-1, 1], the paper's) | sigmoid ([0, 1], where the labels are).", choices=AROUSAL_OUTPUTS
)
PATIENCE = declare(
    "The training ends after so many epochs without a better validation CCC; with 0 it never ends early.", 0, 10_000
)
AVERAGE_LAST = declare(
    "The mean of the weights after the last so many epochs is tried as well; 1 tries none.", 1, 10_000
)
NUM_FRAMES = declare("Segments of an utterance; one frame is drawn from each.", 1, MOST_FRAMES)
INITIALISATION = declare(
    "Where the last layer starts, and ANet's first one: own (near 0, VNet's orthogonal; ANet's first layer as "
    "ImageNet's) | notebooks (as torch starts any layer).",
    choices=INITIALISATIONS,
    later=True,
)
ORDERED_STARTS = declare(
    "true draws each map of training from a part of its own of the utterance, in order (as the notebooks do for "
    "Joint); false draws each from anywhere.",
    later=True,
)
RANDOM_STARTS = declare("true draws the maps of training at random; false takes them where evaluation does.")
MASK_FREQUENCIES = declare(
    "SpecAugment: widest band of frequencies that is set to zero in each map of training; 0 for none.",
    0,
    paper.NUM_FREQUENCIES,
)
MASK_FRAMES = declare(
    "SpecAugment: most STFT frames in a row that are set to zero in each map of training; 0 for none.",
    0,
    paper.MAP_FRAMES,
)
MIRROR = declare("true mirrors the crops of every second utterance in training; needs backbone = finetune.")
