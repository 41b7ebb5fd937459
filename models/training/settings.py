"""Settings of the three trainings; their defaults are the paper's numbers (models/paper.py)."""

from dataclasses import dataclass
from typing import Literal

from models import paper
from models.inputs.batches import InputPlan
from models.networks.outputs import AROUSAL_OUTPUTS, ArousalOutput
from models.networks.precision import ARITHMETICS, Arithmetic
from models.networks.vnet import Backbone
from models.sphereface.network import ChannelOrder

Loss = Literal["mse", "ccc"]
CHOICES = {
    "loss": ("mse", "ccc"),
    "backbone": ("frozen", "finetune"),
    "channel_order": ("bgr", "rgb"),
    "arousal_output": AROUSAL_OUTPUTS,
    "precision": ARITHMETICS,
}
AT_LEAST_ONE = ("epochs", "batch_size", "num_maps", "num_evaluation_maps", "num_frames", "average_last")
AT_LEAST_ZERO = ("patience", "mask_frequencies", "mask_frames")
ABOVE_ZERO = ("learning_rate", "learning_rate_factor", "gradient_clip")


@dataclass(frozen=True, kw_only=True)
class TrainingSettings:
    """What all three have in common.

    Attributes:
        epochs: passes over the training split.
        batch_size: utterances per step (batches are of equal size up to one, see `sampling.split_batches`).
        learning_rate: of SGD, before the first step of the schedule.
        learning_rate_steps: epochs, counted from 0, at whose start the rate is multiplied by the factor.
        learning_rate_factor: that factor.
        momentum: of SGD, in [0, 1).
        weight_decay: of SGD, on all parameters.
        gradient_clip: largest norm over all gradients; clipped before the step.
        loss: "mse" or "ccc" (see models/training/losses.py).
        arousal_output: "tanh" (the paper's) or "sigmoid" (see `squash`).
        patience: stop when so many epochs in a row have not raised the total validation CCC; 0 never stops early.
        average_last: also try the mean of the weights after each of the last so many epochs; 1 does not.
        precision: of the arithmetic (see `computing_in`).
    """

    epochs: int
    batch_size: int
    learning_rate: float
    learning_rate_steps: tuple[int, ...]
    learning_rate_factor: float = paper.LEARNING_RATE_FACTOR
    momentum: float = paper.MOMENTUM
    weight_decay: float = paper.WEIGHT_DECAY
    gradient_clip: float = paper.GRADIENT_CLIP
    loss: Loss = "mse"
    arousal_output: ArousalOutput = "tanh"
    patience: int = 0
    average_last: int = 1
    precision: Arithmetic = "float32"

    def __post_init__(self) -> None:
        """Refuse values that cannot work.

        Raises:
            ValueError: names the setting, its value and what it may be.
        """
        for name, choices in CHOICES.items():
            value = getattr(self, name, choices[0])
            if value not in choices:
                raise ValueError(f"{name} ({value!r}) must be one of {', '.join(choices)}")
        for name in AT_LEAST_ONE:
            if getattr(self, name, 1) < 1:
                raise ValueError(f"{name} ({getattr(self, name)}) must be at least 1")
        for name in AT_LEAST_ZERO:
            if getattr(self, name, 0) < 0:
                raise ValueError(f"{name} ({getattr(self, name)}) must be at least 0")
        for name in ABOVE_ZERO:
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} ({getattr(self, name)}) must be above 0")
        if not 0 <= self.momentum < 1:
            raise ValueError(f"momentum ({self.momentum}) must be at least 0 and below 1")
        if self.weight_decay < 0:
            raise ValueError(f"weight_decay ({self.weight_decay}) must be at least 0")
        if self.average_last > self.epochs:
            raise ValueError(f"average_last ({self.average_last}) must be at most epochs ({self.epochs})")
        if self.average_last > 1 and self.patience:
            raise ValueError(
                f"average_last ({self.average_last}) needs patience = 0, not {self.patience}: which epochs are the "
                "last has to be known before"
            )


@dataclass(frozen=True, kw_only=True)
class ANetSettings(TrainingSettings):
    """How ANet is trained (told nowhere; see models/paper.py).

    Attributes:
        num_maps: random STFT maps per utterance and epoch in training.
        num_evaluation_maps: evenly spread maps per utterance in evaluation.
        channel_scale: see `anet.AcousticFeature`.
        random_starts: see `InputPlan`, as are the next two.
        mask_frequencies: likewise.
        mask_frames: likewise.
    """

    epochs: int = paper.ANET_EPOCHS
    batch_size: int = paper.ANET_BATCH_SIZE
    learning_rate: float = paper.ANET_LEARNING_RATE
    learning_rate_steps: tuple[int, ...] = paper.ANET_LEARNING_RATE_STEPS
    num_maps: int = paper.ANET_NUM_MAPS
    num_evaluation_maps: int = paper.ANET_NUM_EVALUATION_MAPS
    channel_scale: float = 1.0
    random_starts: bool = True
    mask_frequencies: int = 0
    mask_frames: int = 0

    def __post_init__(self) -> None:
        """Refuse values that cannot work; see `TrainingSettings`."""
        super().__post_init__()
        if not 0 < self.channel_scale <= 1:
            raise ValueError(f"channel_scale ({self.channel_scale}) must be above 0 and at most 1, the paper's width")

    def plan_inputs(self, *, evaluation: bool) -> InputPlan:
        """Say what the network looks at in training or evaluation."""
        return InputPlan(
            num_maps=self.num_evaluation_maps if evaluation else self.num_maps,
            num_frames=0,
            random_starts=self.random_starts,
            mask_frequencies=self.mask_frequencies,
            mask_frames=self.mask_frames,
        )


@dataclass(frozen=True, kw_only=True)
class VNetSettings(TrainingSettings):
    """How VNet is trained.

    Attributes:
        num_frames: N_V, faces per utterance.
        backbone: see `vnet.VisualFeature`.
        channel_order: of the crops with `finetune`; with `frozen` the embeddings have been made with theirs.
        standardise: shift and scale the embeddings so that over the training split each of the 512 has mean 0 and
            their mean standard deviation is 1; `frozen` only. Off in the paper. Embeddings of a random SphereFace
            differ by a hundredth of their length, which VNet takes hundreds of epochs to see through.
        mirror: see `InputPlan`; `finetune` only.
    """

    epochs: int = paper.VNET_EPOCHS
    batch_size: int = paper.VNET_BATCH_SIZE
    learning_rate: float = paper.VNET_LEARNING_RATE
    learning_rate_steps: tuple[int, ...] = paper.VNET_LEARNING_RATE_STEPS
    num_frames: int = paper.NUM_FRAMES
    backbone: Backbone = "frozen"
    channel_order: ChannelOrder = "bgr"
    standardise: bool = False
    mirror: bool = False

    def __post_init__(self) -> None:
        """Refuse values that cannot work; see `TrainingSettings`."""
        super().__post_init__()
        if self.standardise and self.backbone != "frozen":
            raise ValueError(f"standardise ({self.standardise}) needs backbone = frozen: it is about cached embeddings")
        if self.mirror and self.backbone != "finetune":
            raise ValueError(f"mirror ({self.mirror}) needs backbone = finetune: embeddings cannot be mirrored")

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
    """How Joint is trained. Width, backbone and channel order are those of the two networks it starts from.

    Attributes:
        num_maps: N_A, STFT maps per utterance: random in training, evenly spread in evaluation.
        num_frames: N_V, faces per utterance.
        random_starts: see `InputPlan`, as are the next three.
        mask_frequencies: likewise.
        mask_frames: likewise.
        mirror: likewise; needs a VNet trained with `finetune`.
    """

    epochs: int = paper.JOINT_EPOCHS
    batch_size: int = paper.JOINT_BATCH_SIZE
    learning_rate: float = paper.JOINT_LEARNING_RATE
    learning_rate_steps: tuple[int, ...] = paper.JOINT_LEARNING_RATE_STEPS
    loss: Loss = "ccc"
    num_maps: int = paper.NUM_MAPS
    num_frames: int = paper.NUM_FRAMES
    random_starts: bool = True
    mask_frequencies: int = 0
    mask_frames: int = 0
    mirror: bool = False

    def plan_inputs(self, *, backbone: Backbone, channel_order: ChannelOrder) -> InputPlan:
        """Say what the network looks at, in training and evaluation alike.

        Raises:
            ValueError: crops are to be mirrored where there are none.
        """
        if self.mirror and backbone != "finetune":
            raise ValueError(f"mirror ({self.mirror}) needs a VNet of backbone = finetune, not {backbone}")
        return InputPlan(
            num_maps=self.num_maps,
            num_frames=self.num_frames,
            faces="crops" if backbone == "finetune" else "embeddings",
            channel_order=channel_order,
            random_starts=self.random_starts,
            mask_frequencies=self.mask_frequencies,
            mask_frames=self.mask_frames,
            mirror=self.mirror,
        )
