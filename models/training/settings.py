"""Settings of the three trainings, each declared once: default, limits and a sentence. The defaults are the paper's.

The sections [anet], [vnet] and [joint], their checks, their text in tasks.cfg and docs/settings.md all follow from what
is declared here. To add a setting, add a field with `declare` and run `make settings`. Without torch: a run reads its
settings before it needs any.
"""

from collections.abc import Iterator, Mapping
from dataclasses import Field, dataclass, field, fields
from typing import Any

from models import paper
from models.choices import (
    ARITHMETICS,
    AROUSAL_OUTPUTS,
    BACKBONES,
    CHANNEL_ORDERS,
    FUSIONS,
    LOSSES,
    NORMALISATIONS,
    SOUND_INPUTS,
    Arithmetic,
    ArousalOutput,
    Backbone,
    ChannelOrder,
    Fusion,
    Loss,
    Normalisation,
    SoundInput,
)
from models.inputs.plan import MOST_FRAMES, MOST_MAPS, InputPlan


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


EPOCHS = declare("Passes over the training split.", 1, 10_000)
BATCH_SIZE = declare("Utterances per step; batches differ in size by one utterance at most.", 1, 4096)
PAIRS = declare("Utterances per step; a CCC needs two.", 2, 4096)
LEARNING_RATE = declare("Learning rate of SGD in the first epoch.", 1e-9, 10)
LEARNING_RATE_STEPS = declare("Epochs, counted from 0, at whose start the rate is divided by ten.")
MOMENTUM = declare("Momentum of SGD.", 0, 0.999999)
WEIGHT_DECAY = declare("Weight decay of SGD, on all parameters.", 0, 1)
GRADIENT_CLIP = declare("Largest norm over all gradients; a larger one is scaled down before the step.", 1e-9, 1e9)
LOSS = declare("What training minimises: mse (mean squared error) | ccc (minus the sum of both CCC).", choices=LOSSES)
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


#: Name of the cached embeddings among the features of faces.
SPHEREFACE = "sphereface20"


def split_names(text: str) -> tuple[str, ...]:
    """Read names with commas between them.

    >>> split_names("sphereface20, mini")
    ('sphereface20', 'mini')
    """
    return tuple(part.strip() for part in text.split(",") if part.strip())


def get_declaration(of: Field[Any]) -> Declaration | None:
    """Give what is declared of a field; None where a section does not have it."""
    found: Declaration | None = of.metadata.get("declaration")
    return found


def find_silent(kind: type[Any], values: Mapping[str, Any]) -> set[str]:
    """Name the later settings that are at their default: a checkpoint made before them is known without."""
    declared = ((each, get_declaration(each)) for each in fields(kind))
    return {each.name for each, what in declared if what and what.later and values[each.name] == each.default}


@dataclass(frozen=True, kw_only=True)
class TrainingSettings:
    """What all three have in common; what each setting means is declared above.

    Attributes:
        learning_rate_factor: by which each step multiplies the learning rate.
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
        """Give a sentence for each pair of settings that are right alone and do not go together."""
        if self.average_last > self.epochs:
            yield f"average_last ({self.average_last}) must be at most epochs ({self.epochs})"
        if self.average_last > 1 and self.patience:
            yield (
                f"average_last ({self.average_last}) needs patience = 0, not {self.patience}: it has to be known "
                "beforehand which epochs are the last"
            )


@dataclass(frozen=True, kw_only=True)
class ANetSettings(TrainingSettings):
    """How ANet is trained (told nowhere; see models/paper.py).

    Attributes:
        normalise: with `frequency` each of a map's 257 frequencies has mean 0 and deviation 1 over the training split's
            maps, once each map has been normalised by itself. A map divided by its largest value has a deviation of
            .02 to .03 and next to nothing above 2 kHz, from which VGG is slow to learn.
    """

    input: SoundInput = field(
        default="stft",
        metadata=declare(
            "What ANet hears of the transform: stft (real and imaginary part, the paper's) | log_magnitude (how strong "
            "each frequency is, in decibels below the loudest).",
            choices=SOUND_INPUTS,
            later=True,
        ),
    )
    normalise: Normalisation = field(
        default="map",
        metadata=declare(
            "How a map of 3 s is normalised: map (by its own mean and largest value, the paper's) | frequency (then "
            "each frequency also by its mean and deviation over the training split).",
            choices=NORMALISATIONS,
            later=True,
        ),
    )
    channel_scale: float = field(
        default=1.0,
        metadata=declare(
            "Factor on VGG-16's channels; 1 is the paper's network, any other one is named in the report.", 1 / 64, 1
        ),
    )
    epochs: int = field(default=paper.ANET_EPOCHS, metadata=EPOCHS)
    batch_size: int = field(default=paper.ANET_BATCH_SIZE, metadata=BATCH_SIZE)
    learning_rate: float = field(default=paper.ANET_LEARNING_RATE, metadata=LEARNING_RATE)
    learning_rate_steps: tuple[int, ...] = field(default=paper.ANET_LEARNING_RATE_STEPS, metadata=LEARNING_RATE_STEPS)
    num_maps: int = field(
        default=paper.ANET_NUM_MAPS,
        metadata=declare("STFT maps of 3 s per utterance in training, drawn anew in each epoch.", 1, MOST_MAPS),
    )
    num_evaluation_maps: int = field(
        default=paper.ANET_NUM_EVALUATION_MAPS,
        metadata=declare(
            "STFT maps of 3 s per utterance in evaluation, evenly spread; each more costs a fifteenth of an epoch.",
            1,
            MOST_MAPS,
        ),
    )
    random_starts: bool = field(default=True, metadata=RANDOM_STARTS)
    mask_frequencies: int = field(default=0, metadata=MASK_FREQUENCIES)
    mask_frames: int = field(default=0, metadata=MASK_FRAMES)

    def plan_inputs(self, *, evaluation: bool) -> InputPlan:
        """Say what the network looks at in training or evaluation."""
        return InputPlan(
            num_maps=self.num_evaluation_maps if evaluation else self.num_maps,
            num_frames=0,
            random_starts=self.random_starts,
            mask_frequencies=self.mask_frequencies,
            mask_frames=self.mask_frames,
            sound=self.input,
        )


@dataclass(frozen=True, kw_only=True)
class VNetSettings(TrainingSettings):
    """How VNet is trained.

    Attributes:
        standardise: after it, over the training split each of the embeddings' 512 numbers has mean 0 and their mean
            standard deviation is 1. Embeddings of a random SphereFace differ by a hundredth of their length, which VNet
            takes hundreds of epochs to see through.
        channel_order: of the crops with `finetune`; with `frozen` the embeddings have been made with theirs.
    """

    backbone: Backbone = field(
        default="frozen",
        metadata=declare(
            "frozen trains on the cached embeddings; finetune, the paper's, trains SphereFace along from the crops.",
            choices=BACKBONES,
        ),
    )
    standardise: bool = field(
        default=False,
        metadata=declare(
            "true shifts and scales the cached embeddings to mean 0 and deviation 1 over the training split (not in "
            "the paper); needs backbone = frozen."
        ),
    )
    features: str = field(
        default=SPHEREFACE,
        metadata=declare(
            "What VNet sees of each face: sphereface20, or features of your own (docs/features.md); of several with "
            "commas between them all numbers, side by side.",
            later=True,
        ),
    )
    num_frames: int = field(default=paper.NUM_FRAMES, metadata=NUM_FRAMES)
    epochs: int = field(default=paper.VNET_EPOCHS, metadata=EPOCHS)
    batch_size: int = field(default=paper.VNET_BATCH_SIZE, metadata=BATCH_SIZE)
    learning_rate: float = field(default=paper.VNET_LEARNING_RATE, metadata=LEARNING_RATE)
    learning_rate_steps: tuple[int, ...] = field(default=paper.VNET_LEARNING_RATE_STEPS, metadata=LEARNING_RATE_STEPS)
    mirror: bool = field(default=False, metadata=MIRROR)
    channel_order: ChannelOrder = "bgr"

    def _find_contradictions(self) -> Iterator[str]:
        yield from super()._find_contradictions()
        if self.standardise and self.backbone != "frozen":
            yield "standardise (true) needs backbone = frozen: it is about cached embeddings"
        if self.mirror and self.backbone != "finetune":
            yield "mirror (true) needs backbone = finetune: embeddings cannot be mirrored"
        if self.features != SPHEREFACE and self.backbone != "frozen":
            yield f"features ({self.features}) needs backbone = frozen: finetune trains SphereFace"
        if not self.face_features or len(set(self.face_features)) < len(self.face_features):
            yield f"features ({self.features}) must be names with commas between them, each once"

    @property
    def face_features(self) -> tuple[str, ...]:
        """Names of what it sees of each face, in the order of their numbers."""
        return split_names(self.features)

    def plan_inputs(self, *, evaluation: bool) -> InputPlan:
        """Say what the network looks at, in training and evaluation alike."""
        return InputPlan(
            num_maps=0,
            num_frames=self.num_frames,
            faces="crops" if self.backbone == "finetune" else "embeddings",
            channel_order=self.channel_order,
            mirror=self.mirror,
        )


@dataclass(frozen=True, kw_only=True)
class JointSettings(TrainingSettings):
    """How Joint is trained. Width, backbone and channel order are those of the two networks it starts from."""

    num_maps: int = field(
        default=paper.NUM_MAPS,
        metadata=declare(
            "STFT maps of 3 s per utterance: random in training, evenly spread in evaluation.", 1, MOST_MAPS
        ),
    )
    num_frames: int = field(default=paper.NUM_FRAMES, metadata=NUM_FRAMES)
    epochs: int = field(default=paper.JOINT_EPOCHS, metadata=EPOCHS)
    batch_size: int = field(default=paper.JOINT_BATCH_SIZE, metadata=PAIRS)
    learning_rate: float = field(default=paper.JOINT_LEARNING_RATE, metadata=LEARNING_RATE)
    learning_rate_steps: tuple[int, ...] = field(default=paper.JOINT_LEARNING_RATE_STEPS, metadata=LEARNING_RATE_STEPS)
    loss: Loss = field(default="ccc", metadata=LOSS)
    random_starts: bool = field(default=True, metadata=RANDOM_STARTS)
    mask_frequencies: int = field(default=0, metadata=MASK_FREQUENCIES)
    mask_frames: int = field(default=0, metadata=MASK_FRAMES)
    mirror: bool = field(default=False, metadata=MIRROR)
    fusion: Fusion = field(
        default="concat",
        metadata=declare(
            "How sound and picture are put together: concat (side by side, the paper's) | attention (their mean, "
            "weighted anew for each utterance).",
            choices=FUSIONS,
            later=True,
        ),
    )

    def check_backbone(self, backbone: Backbone) -> None:
        """Refuse a VNet that does not go with these settings.

        Raises:
            ValueError: crops are to be mirrored where there are none.
        """
        if self.mirror and backbone != "finetune":
            raise ValueError(f"mirror (true) needs a VNet of backbone = finetune, not {backbone}")

    def plan_inputs(self, *, backbone: Backbone, channel_order: ChannelOrder, sound: SoundInput = "stft") -> InputPlan:
        """Say what the network looks at, in training and evaluation alike; raises as `check_backbone` does."""
        self.check_backbone(backbone)
        return InputPlan(
            num_maps=self.num_maps,
            num_frames=self.num_frames,
            faces="crops" if backbone == "finetune" else "embeddings",
            channel_order=channel_order,
            random_starts=self.random_starts,
            mask_frequencies=self.mask_frequencies,
            mask_frames=self.mask_frames,
            mirror=self.mirror,
            sound=sound,
        )


#: Section of the settings -> what it is made of.
TRAININGS: dict[str, type[TrainingSettings]] = {"anet": ANetSettings, "vnet": VNetSettings, "joint": JointSettings}
