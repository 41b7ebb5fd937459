"""Settings of ANet's training. The defaults are the paper's."""

from collections.abc import Iterator
from dataclasses import dataclass, field, fields

from models import paper
from models.choices import NORMALISATIONS, POOLINGS, SOUND_INPUTS, Normalisation, Pooling, Sound, SoundInput
from models.inputs.plan import MOST_MAPS, InputPlan
from models.training.settings.common import STFT, TrainingSettings, find_idle_starts, split_names
from models.training.settings.declarations import (
    BATCH_SIZE,
    EPOCHS,
    LEARNING_RATE,
    LEARNING_RATE_STEPS,
    MASK_FRAMES,
    MASK_FREQUENCIES,
    ORDERED_STARTS,
    RANDOM_STARTS,
    declare,
)

#: Settings of ANet that only concern the transform, not the rows of another feature.
_OF_THE_TRANSFORM = ("channel_scale", "input", "normalise", "mask_frequencies", "mask_frames")


@dataclass(frozen=True, kw_only=True)
class ANetSettings(TrainingSettings):
    """How ANet is trained (the paper does not say it; see models/paper.py).

    Attributes:
        normalise: `frequency` first normalises each map by its own values, then shifts and scales each of the 257
            frequencies to mean 0 and deviation 1 over the training split's maps. Without this, a map has a deviation of
            .02 to .03 and almost nothing above 2 kHz, from which VGG learns slowly.
    """

    features: str = field(
        default=STFT,
        metadata=declare(
            "Input of ANet: stft (the transform through VGG-16, as in the paper), or the name of a declared feature "
            "of sound, which goes through `pooling` instead (docs/features.md).",
            later=True,
        ),
    )
    pooling: Pooling = field(
        default="lstm",
        metadata=declare(
            "How the rows of such a feature become one: lstm (bidirectional, mean over time) | attention (their "
            "weighted mean).",
            choices=POOLINGS,
            later=True,
        ),
    )
    input: SoundInput = field(
        default="stft",
        metadata=declare(
            "Form of the transform: stft (real and imaginary part, as in the paper) | log_magnitude (strength of "
            "each frequency, in decibels below the loudest).",
            choices=SOUND_INPUTS,
            later=True,
        ),
    )
    normalise: Normalisation = field(
        default="map",
        metadata=declare(
            "How a map of 3 s is normalised: map (by its own mean and largest value, as in the paper) | frequency "
            "(in addition, each frequency by its mean and deviation over the training split).",
            choices=NORMALISATIONS,
            later=True,
        ),
    )
    channel_scale: float = field(
        default=1.0,
        metadata=declare(
            "Factor of the number of VGG-16's channels; 1 is the paper's network. The report names any other value.",
            1 / 64,
            1,
        ),
    )
    epochs: int = field(default=paper.ANET_EPOCHS, metadata=EPOCHS)
    batch_size: int = field(default=paper.ANET_BATCH_SIZE, metadata=BATCH_SIZE)
    learning_rate: float = field(default=paper.ANET_LEARNING_RATE, metadata=LEARNING_RATE)
    learning_rate_steps: tuple[int, ...] = field(default=paper.ANET_LEARNING_RATE_STEPS, metadata=LEARNING_RATE_STEPS)
    num_maps: int = field(
        default=paper.ANET_NUM_MAPS,
        metadata=declare(
            "Number of STFT maps of 3 s per utterance in training; each epoch draws new ones.", 1, MOST_MAPS
        ),
    )
    num_evaluation_maps: int = field(
        default=paper.ANET_NUM_EVALUATION_MAPS,
        metadata=declare(
            "Number of STFT maps of 3 s per utterance in evaluation, evenly spread; each further map takes a "
            "fifteenth of an epoch.",
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
        """What the network's pieces of sound consist of."""
        return self.input if self.features == STFT else "rows"

    def _find_contradictions(self) -> Iterator[str]:
        yield from super()._find_contradictions()
        yield from find_idle_starts(
            num_maps=self.num_maps, random_starts=self.random_starts, ordered_starts=self.ordered_starts
        )
        if self.features == STFT:
            if self.pooling != "lstm":
                yield f"pooling ({self.pooling}) needs a feature of your own in features: stft passes VGG-16 instead"
            return
        if split_names(self.features) != (self.features,):  # a comma would become part of the stage's name
            yield f"features ({self.features}) must be one name"
        for each in fields(self):
            value = getattr(self, each.name)
            if each.name in _OF_THE_TRANSFORM and value != each.default:
                yield f"{each.name} ({value}) needs features = stft: it is about maps of the transform"

    def plan_inputs(self, *, evaluation: bool, map_rows: int = paper.MAP_FRAMES) -> InputPlan:
        """Describe the network's input in training or evaluation; `map_rows` counts the feature's rows in 3 s."""
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
