import pytest
import torch

from models.networks.anet import ANet
from models.networks.joint import Joint
from models.networks.outputs import squash
from models.networks.vnet import VNet


def test_both_outputs_by_hand():
    x = torch.tensor([[0.0, 0.0], [-1.0, 1.0]])
    torch.testing.assert_close(squash(x, "tanh"), torch.tensor([[0.0, 0.0], [-0.7615942, 0.7615942]]))
    torch.testing.assert_close(squash(x, "sigmoid"), torch.tensor([[0.5, 0.0], [0.26894143, 0.7615942]]))


@pytest.mark.parametrize("network", [ANet, VNet, Joint])
def test_other_outputs_are_refused(network):
    with (
        torch.device("meta"),
        pytest.raises(ValueError, match=r"arousal_output \('relu'\) must be one of tanh, sigmoid"),
    ):
        network(arousal_output="relu")
