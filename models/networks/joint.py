"""Joint: sound and picture together (III-C). Starts from a trained ANet and a trained VNet."""

import torch
from torch import nn

from models.choices import ArousalOutput, Backbone
from models.loading import build_empty
from models.networks.anet import AcousticFeature, ANet
from models.networks.outputs import check_arousal_output, squash
from models.networks.vnet import VisualFeature, VNet
from models.paper import FEATURE_SIZE, HEAD_STD, NUM_DIMENSIONS
from models.seeding import seeded


class Joint(nn.Module):
    """ANet's and VNet's 512 each, concatenated into one fully connected layer; everything is trainable."""

    def __init__(
        self,
        channel_scale: float = 1.0,
        backbone: Backbone = "frozen",
        arousal_output: ArousalOutput = "tanh",
        face_size: int = FEATURE_SIZE,
    ) -> None:
        super().__init__()
        check_arousal_output(arousal_output)
        self.arousal_output = arousal_output
        self.acoustic = AcousticFeature(channel_scale)
        self.visual = VisualFeature(backbone, face_size)
        self.head = nn.Linear(2 * FEATURE_SIZE, NUM_DIMENSIONS)

    def forward(self, maps: torch.Tensor, index: torch.Tensor, faces: torch.Tensor) -> torch.Tensor:
        """Predict (B, 2), arousal and valence in [-1, 1].

        Args:
            maps: (M, 2, 257, 300), see `AcousticFeature.forward`.
            index: (B, N_A), see there.
            faces: (B, N_V, ...), see `VisualFeature.forward`.
        """
        both = torch.cat([self.acoustic(maps, index), self.visual(faces)], dim=1)  # (B, 1024)
        return squash(self.head(both), self.arousal_output)


def build_joint(
    anet: ANet,
    vnet: VNet,
    *,
    channel_scale: float,
    backbone: Backbone,
    arousal_output: ArousalOutput = "tanh",
    face_size: int = FEATURE_SIZE,
    seed: int,
) -> Joint:
    """Build Joint on copies of the two trained networks' layers below their heads; its own head is random.

    Args:
        anet: trained, of the given `channel_scale`.
        vnet: trained, of the given `backbone`.
        channel_scale: ANet's.
        backbone: VNet's.
        arousal_output: see `squash`; its own, whatever the two had.
        face_size: VNet's.
        seed: of the head's weights (small and normal; zero biases).
    """
    network = build_empty(lambda: Joint(channel_scale, backbone, arousal_output, face_size))
    with seeded(seed):
        nn.init.normal_(network.head.weight, std=HEAD_STD)
        nn.init.zeros_(network.head.bias)
    network.acoustic.load_state_dict(anet.feature.state_dict())
    network.visual.load_state_dict(vnet.feature.state_dict())
    return network
