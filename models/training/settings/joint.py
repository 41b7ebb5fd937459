"""Settings of Joint's training. The defaults are the paper's."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from models import paper
from models.choices import FUSIONS, Backbone, ChannelOrder, Fusion, Loss, Sound
from models.inputs.plan import MOST_MAPS, InputPlan
from models.training.settings.common import TrainingSettings, find_idle_starts
from models.training.settings.declarations import (
    EPOCHS,
    LEARNING_RATE,
    LEARNING_RATE_STEPS,
    LOSS,
    MASK_FRAMES,
    MASK_FREQUENCIES,
    MIRROR,
    NUM_FRAMES,
    ORDERED_STARTS,
    PAIRS,
    RANDOM_STARTS,
    declare,
)


@dataclass(frozen=True, kw_only=True)
class JointSettings(TrainingSettings):
    """How Joint is trained. Width, backbone and channel order are those of the two networks it starts from."""

    num_maps: int = field(
        default=paper.NUM_MAPS,
        metadata=declare(
            "Number of STFT maps of 3 s per utterance: random in training, evenly spread in evaluation.", 1, MOST_MAPS
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
            "How sound and picture are combined: concat (side by side, as in the paper) | attention (their weighted "
            "mean, with weights for each utterance).",
            choices=FUSIONS,
            later=True,
        ),
    )

    def check_backbone(self, backbone: Backbone) -> None:
        """Refuse a VNet that does not fit these settings.

        Raises:
            ValueError: crops should be mirrored, but the VNet has none.
        """
        if self.mirror and backbone != "finetune":
            raise ValueError(f"mirror (true) needs a VNet of backbone = finetune, not {backbone}")

    def check_sound(self, sound: Sound) -> None:
        """Refuse an ANet that does not fit these settings.

        Raises:
            ValueError: maps should be masked, but the ANet has none.
        """
        if sound == "rows" and (self.mask_frequencies or self.mask_frames):
            raise ValueError("mask_frequencies and mask_frames need an ANet of features = stft")

    def _find_contradictions(self) -> Iterator[str]:
        yield from super()._find_contradictions()
        yield from find_idle_starts(
            num_maps=self.num_maps, random_starts=self.random_starts, ordered_starts=self.ordered_starts
        )

    def plan_inputs(
        self,
        *,
        backbone: Backbone,
        channel_order: ChannelOrder,
        sound: Sound = "stft",
        map_rows: int = paper.MAP_FRAMES,
    ) -> InputPlan:
        """Describe the network's input in training and evaluation; raises the errors of both checks."""
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
