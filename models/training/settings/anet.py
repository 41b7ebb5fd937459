"""Settings of ANet's training. The defaults are the paper's."""

from collections.abc import Iterator
from dataclasses import dataclass, field, fields

from models import paper
from models.choices import NORMALISATIONS, POOLINGS, SOUND_INPUTS, Normalisation, Pooling, Sound, SoundInput
from models.inputs.plan import MOST_MAPS, InputPlan
from models.training.settings.common import STFT, TrainingSettings, split_names
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
