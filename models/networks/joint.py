"""Joint: sound and picture together (III-C). Starts from a trained ANet and a trained VNet."""

from typing import Unpack

import torch
from torch import nn

from models.choices import FUSIONS, ArousalOutput, Backbone, Fusion, Initialisation
from models.loading import build_empty
from models.networks.anet import ANet, Hearing, make_acoustic
from models.networks.outputs import check_arousal_output, squash
from models.networks.vnet import VisualFeature, VNet
from models.paper import FEATURE_SIZE, HEAD_STD, NUM_DIMENSIONS
from models.seeding import seeded


class Joint(nn.Module):
    """ANet's and VNet's 512 numbers each, concatenated, go into one fully connected layer; everything is trainable."""

    def __init__(
        self,
        *,
        backbone: Backbone = "frozen",
        arousal_output: ArousalOutput = "tanh",
        face_size: int = FEATURE_SIZE,
        fusion: Fusion = "concat",
        **hearing: Unpack[Hearing],
    ) -> None:
        super().__init__()
        if fusion not in FUSIONS:
            raise ValueError(f"fusion ({fusion!r}) must be one of {', '.join(FUSIONS)}")
        check_arousal_output(arousal_output)
        self.arousal_output = arousal_output
        self.acoustic = make_acoustic(**hearing)
        self.visual = VisualFeature(backbone, face_size)
        #: Scores the sound and the picture for their weighted mean; None concatenates the two, as in the paper.
        self.attention = nn.Linear(FEATURE_SIZE, 1) if fusion == "attention" else None
        self.head = nn.Linear(FEATURE_SIZE if fusion == "attention" else 2 * FEATURE_SIZE, NUM_DIMENSIONS)

    def forward(self, maps: torch.Tensor, index: torch.Tensor, faces: torch.Tensor) -> torch.Tensor:
        """Predict (B, 2), arousal and valence in [-1, 1].

        Args:
            maps: (M, C, 257, 300), see `AcousticFeature.forward`.
            index: (B, N_A), see there.
            faces: (B, N_V, ...), see `VisualFeature.forward`.
        """
        return squash(self.head(self._fuse(self.acoustic(maps, index), self.visual(faces))), self.arousal_output)

    def _fuse(self, sound: torch.Tensor, picture: torch.Tensor) -> torch.Tensor:
        if self.attention is None:
            return torch.cat([sound, picture], dim=1)  # (B, 1024)
        both = torch.stack([sound, picture], dim=1)  # (B, 2, 512)
        return (self.attention(both).softmax(dim=1) * both).sum(dim=1)


def build_joint(
    anet: ANet,
    vnet: VNet,
    *,
    backbone: Backbone,
    arousal_output: ArousalOutput = "tanh",
    face_size: int = FEATURE_SIZE,
    fusion: Fusion = "concat",
    initialisation: Initialisation = "own",
    seed: int,
    **hearing: Unpack[Hearing],
) -> Joint:
    """Build Joint from copies of two trained networks without their last layers; its own last layer is random.

    Args:
        anet: trained, with layers of the given `hearing`.
        vnet: trained, of the given `backbone`.
        backbone: VNet's.
        arousal_output: see `squash`; it may differ from that of the two networks.
        face_size: VNet's.
        fusion: "concat", or "attention": a weighted mean, whose weights start equal.
        initialisation: "notebooks" gives the last layer torch's default weights.
        seed: of the last layer's weights (normal with a small deviation; the biases are zero).
        hearing: ANet's, see `make_acoustic`.
    """
    network = build_empty(
        lambda: Joint(backbone=backbone, arousal_output=arousal_output, face_size=face_size, fusion=fusion, **hearing)
    )
    with seeded(seed):
        nn.init.normal_(network.head.weight, std=HEAD_STD)
        nn.init.zeros_(network.head.bias)
        if initialisation == "notebooks":
            network.head.reset_parameters()
        if network.attention is not None:
            nn.init.zeros_(network.attention.weight)
            nn.init.zeros_(network.attention.bias)
    network.acoustic.load_state_dict(anet.feature.state_dict())
    network.visual.load_state_dict(vnet.feature.state_dict())
    return network
