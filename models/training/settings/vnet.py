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
