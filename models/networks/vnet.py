"""VNet: faces of an utterance, in order, become arousal and valence (III-B).

Letters: B utterances, N = 16 frames of each (N_V), D numbers of a face (SphereFace's 512).
"""

from pathlib import Path

import torch
from torch import nn

from models.choices import BACKBONES, ArousalOutput, Backbone, Initialisation
from models.loading import build_empty
from models.networks.outputs import check_arousal_output, squash
from models.networks.precision import runs_lstm_in_bfloat16
from models.paper import FEATURE_SIZE, NUM_DIMENSIONS
from models.seeding import seeded
from models.sphereface.network import SphereFace20, build_sphereface


class VisualFeature(nn.Module):
    """VNet without its last layer: faces to 512 numbers per utterance. Joint uses it too."""

    embedding_mean: torch.Tensor
    embedding_scale: torch.Tensor

    def __init__(self, backbone: Backbone = "frozen", face_size: int = FEATURE_SIZE) -> None:
        """Build the layers.

        Args:
            backbone: "frozen" takes cached embeddings; "finetune" takes crops and holds SphereFace, all trainable.
            face_size: D, how many numbers a face has; 512 with `finetune`.
        """
        super().__init__()
        if backbone not in BACKBONES:
            raise ValueError(f"backbone ({backbone!r}) must be one of {BACKBONES}")
        self.sphereface = SphereFace20() if backbone == "finetune" else None
        # Identity unless `set_standardisation` is called.
        self.register_buffer("embedding_mean", torch.zeros(face_size))
        self.register_buffer("embedding_scale", torch.ones(()))
        self.lstm = nn.LSTM(face_size, FEATURE_SIZE, batch_first=True, bidirectional=True)

    def forward(self, faces: torch.Tensor) -> torch.Tensor:
        """Sum the two directions of the LSTM and take the mean over time.

        Args:
            faces: (B, N, D) embeddings, or with `finetune` (B, N, 3, 112, 96) float crops (see `normalise_crops`).

        Returns:
            (B, 512).
        """
        if self.sphereface is not None:
            faces = self.sphereface(faces.flatten(0, 1)).unflatten(0, faces.shape[:2])  # (B, N, D)
        faces = (faces - self.embedding_mean) * self.embedding_scale
        both = self._run_lstm(faces)  # (B, N, 2 * 512)
        forward, backward = both.chunk(2, dim=2)
        return (forward + backward).mean(1)

    def _run_lstm(self, faces: torch.Tensor) -> torch.Tensor:
        kind = faces.device.type
        # The tensors of models/networks/summary.py are on the meta device, which autocast does not know.
        if not faces.is_meta and torch.is_autocast_enabled(kind) and not runs_lstm_in_bfloat16(kind):
            with torch.autocast(kind, enabled=False):
                return self.lstm(faces.float())[0]
        return self.lstm(faces)[0]

    def set_standardisation(self, mean: torch.Tensor, scale: float) -> None:
        """Set the LSTM's input to (embedding - mean) * scale (not in the paper; see `VNetSettings`).

        Args:
            mean: (D,) float32.
            scale: above 0.
        """
        self.embedding_mean.copy_(mean)
        self.embedding_scale.fill_(scale)


class VNet(nn.Module):
    """The network of the picture alone."""

    def __init__(
        self, backbone: Backbone = "frozen", arousal_output: ArousalOutput = "tanh", face_size: int = FEATURE_SIZE
    ) -> None:
        super().__init__()
        check_arousal_output(arousal_output)
        self.arousal_output = arousal_output
        self.feature = VisualFeature(backbone, face_size)
        self.head = nn.Linear(FEATURE_SIZE, NUM_DIMENSIONS)

    def forward(self, faces: torch.Tensor) -> torch.Tensor:
        """Predict (B, 2), arousal and valence in [-1, 1]; argument as in `VisualFeature.forward`."""
        return squash(self.head(self.feature(faces)), self.arousal_output)


def build_vnet(
    weights: Path | None,
    *,
    backbone: Backbone = "frozen",
    arousal_output: ArousalOutput = "tanh",
    face_size: int = FEATURE_SIZE,
    initialisation: Initialisation = "own",
    seed: int,
) -> VNet:
    """Build VNet: orthogonal weights, zero biases, and with `finetune` SphereFace's weights from a file or random ones.

    Args:
        weights: SphereFace's (see `build_sphereface`), used with `finetune` only; None is an explicit choice of
            random ones.
        backbone: see `VisualFeature`.
        arousal_output: see `squash`.
        face_size: see `VisualFeature`.
        initialisation: "notebooks" gives the last layer torch's default weights.
        seed: of the random weights.
    """
    network = build_empty(lambda: VNet(backbone, arousal_output, face_size))
    with seeded(seed):
        for name, parameter in network.feature.lstm.named_parameters():
            if name.startswith("weight"):
                nn.init.orthogonal_(parameter)  # the whole (4 * 512, 512) matrix, as in the notebooks
            else:
                nn.init.zeros_(parameter)
        nn.init.orthogonal_(network.head.weight)
        nn.init.zeros_(network.head.bias)
        if initialisation == "notebooks":
            network.head.reset_parameters()
    network.feature.set_standardisation(torch.zeros(face_size), 1.0)
    if network.feature.sphereface is not None:
        network.feature.sphereface = build_sphereface(weights, seed=seed)
    return network
