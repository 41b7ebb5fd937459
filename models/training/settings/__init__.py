"""Settings of the three trainings, each declared once: default, limits and a sentence. The defaults are the paper's.

The sections [anet], [vnet] and [joint], their checks, their text in tasks.cfg and docs/settings.md all follow from what
is declared here. To add a setting, add a field with `declare` and run `make settings`. Without torch: a run reads its
settings before it needs any.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, fields

from models import paper
from models.choices import (
    ARITHMETICS,
    BACKBONES,
    CHANNEL_ORDERS,
    FUSIONS,
    NORMALISATIONS,
    POOLINGS,
    SOUND_INPUTS,
    Arithmetic,
    ArousalOutput,
    Backbone,
    ChannelOrder,
    Fusion,
    Initialisation,
    Loss,
    Normalisation,
    Pooling,
    Sound,
    SoundInput,
)
from models.inputs.plan import MOST_MAPS, InputPlan
from models.training.settings.declarations import (
    AROUSAL_OUTPUT,
    AVERAGE_LAST,
    BATCH_SIZE,
    EPOCHS,
    GRADIENT_CLIP,
    INITIALISATION,
    LEARNING_RATE,
    LEARNING_RATE_STEPS,
    LOSS,
    MASK_FRAMES,
    MASK_FREQUENCIES,
    MIRROR,
    MOMENTUM,
    NUM_FRAMES,
    ORDERED_STARTS,
    PAIRS,
    PATIENCE,
    RANDOM_STARTS,
    WEIGHT_DECAY,
    Declaration,
    declare,
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
        """Give a sentence for each pair of settings that are right alone and do not go together."""
        if self.average_last > self.epochs:
            yield f"average_last ({self.average_last}) must be at most epochs ({self.epochs})"
        if self.average_last > 1 and self.patience:
            yield (
                f"average_last ({self.average_last}) needs patience = 0, not {self.patience}: it has to be known "
                "beforehand which epochs are the last"
            )


#: Settings of ANet that say nothing of rows of another feature.
_OF_THE_TRANSFORM = ("channel_scale", "input", "normalise", "mask_frequencies", "mask_frames")


@dataclass(frozen=True, kw_only=True)
class ANetSettings(TrainingSettings):
    """How ANet is trained (told nowhere; see models/paper.py).

    Attributes:
        normalise: with `frequency` each of a map's 257 frequencies has mean 0 and deviation 1 over the training split's
            maps, once each map has been normalised by itself. A map divided by its largest value has a deviation of
            .02 to .03 and next to nothing above 2 kHz, from which VGG is slow to learn.
    """

    features: str = field(
        default=STFT,
        metadata=declare(
            "What ANet hears: stft (the transform, through VGG-16, the paper's), or a feature of sound of your own, "
            "through `pooling` instead (docs/features.md).",
            later=True,
        ),
    )
    pooling: Pooling = field(
        default="lstm",
        metadata=declare(
            "How the rows of such a feature become one: lstm (both directions, mean over time) | attention (their "
            "mean, each row weighted).",
            choices=POOLINGS,
            later=True,
        ),
    )
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
    ordered_starts: bool = field(default=False, metadata=ORDERED_STARTS)
    mask_frequencies: int = field(default=0, metadata=MASK_FREQUENCIES)
    mask_frames: int = field(default=0, metadata=MASK_FRAMES)

    @property
    def sound(self) -> Sound:
        """What the pieces of sound hold that it is given."""
        return self.input if self.features == STFT else "rows"

    def _find_contradictions(self) -> Iterator[str]:
        yield from super()._find_contradictions()
        if self.features == STFT:
            return
        if split_names(self.features) != (self.features,):  # a comma behind it would be a part of the stage's name
            yield f"features ({self.features}) must be one name"
        for each in fields(self):
            value = getattr(self, each.name)
            if each.name in _OF_THE_TRANSFORM and value != each.default:
                yield f"{each.name} ({value}) needs features = stft: it is about maps of the transform"

    def plan_inputs(self, *, evaluation: bool, map_rows: int = paper.MAP_FRAMES) -> InputPlan:
        """Say what the network looks at in training or evaluation; `map_rows` are 3 s of the feature's rows."""
        return InputPlan(
            num_maps=self.num_evaluation_maps if evaluation else self.num_maps,
            num_frames=0,
            random_starts=self.random_starts,
            ordered_starts=self.ordered_starts,
            mask_frequencies=self.mask_frequencies,
            mask_frames=self.mask_frames,
            sound=self.sound,
            map_rows=map_rows,
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
    ordered_starts: bool = field(default=False, metadata=ORDERED_STARTS)
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

    def check_sound(self, sound: Sound) -> None:
        """Refuse an ANet that does not go with these settings.

        Raises:
            ValueError: maps are to be masked where there are none.
        """
        if sound == "rows" and (self.mask_frequencies or self.mask_frames):
            raise ValueError("mask_frequencies and mask_frames need an ANet of features = stft")

    def plan_inputs(
        self,
        *,
        backbone: Backbone,
        channel_order: ChannelOrder,
        sound: Sound = "stft",
        map_rows: int = paper.MAP_FRAMES,
    ) -> InputPlan:
        """Say what the network looks at, in training and evaluation alike; raises as the two checks do."""
        self.check_backbone(backbone)
        self.check_sound(sound)
        return InputPlan(
            num_maps=self.num_maps,
            num_frames=self.num_frames,
            faces="crops" if backbone == "finetune" else "embeddings",
            channel_order=channel_order,
            random_starts=self.random_starts,
            ordered_starts=self.ordered_starts,
            mask_frequencies=self.mask_frequencies,
            mask_frames=self.mask_frames,
            mirror=self.mirror,
            sound=sound,
            map_rows=map_rows,
        )


#: Section of the settings -> what it is made of.
TRAININGS: dict[str, type[TrainingSettings]] = {"anet": ANetSettings, "vnet": VNetSettings, "joint": JointSettings}
