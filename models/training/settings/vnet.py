"""Settings of VNet's training. The defaults are the paper's."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from models import paper
from models.choices import BACKBONES, Backbone, ChannelOrder
from models.inputs.plan import InputPlan
from models.training.settings.common import SPHEREFACE, TrainingSettings, split_names
from models.training.settings.declarations import (
    BATCH_SIZE,
    EPOCHS,
    LEARNING_RATE,
    LEARNING_RATE_STEPS,
    MIRROR,
    NUM_FRAMES,
    declare,
)


@dataclass(frozen=True, kw_only=True)
class VNetSettings(TrainingSettings):
    """How VNet is trained.

    Attributes:
        standardise: gives each of the embeddings' 512 numbers mean 0 over the training split, and a mean standard
            deviation of 1. Embeddings of a random SphereFace differ by only a hundredth of their length. Without this,
            VNet needs hundreds of epochs to learn from them.
        channel_order: colour order of the crops, with `finetune`; with `frozen`, the embeddings have their own.
    """

    backbone: Backbone = field(
        default="frozen",
        metadata=declare(
            "frozen trains on the cached embeddings; finetune, as in the paper, also trains SphereFace, from the "
            "crops.",
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
            "Input of VNet for each face: sphereface20, or names of declared features (docs/features.md). Several "
            "names with commas between them give all their numbers, side by side.",
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
        """Names of the network's features of each face, in the order of their numbers."""
        return split_names(self.features)

    def plan_inputs(self, *, evaluation: bool) -> InputPlan:
        """Describe the network's input, which is the same in training and evaluation."""
        return InputPlan(
            num_maps=0,
            num_frames=self.num_frames,
            faces="crops" if self.backbone == "finetune" else "embeddings",
            channel_order=self.channel_order,
            mirror=self.mirror,
        )
