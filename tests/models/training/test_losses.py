import pytest
import torch

from models import choices
from models.training.losses import LOSSES, compute_ccc_loss, compute_mse_loss


def test_mse_by_hand():
    prediction = torch.tensor([[0.0, 0.5], [1.0, -0.5]])
    labels = torch.tensor([[0.0, 0.0], [0.0, -0.5]])
    assert compute_mse_loss(prediction, labels).item() == pytest.approx((0.25 + 1.0) / 4)


def test_ccc_by_hand():
    labels = torch.tensor([[0.0, 0.0], [1.0, 1.0]])
    prediction = torch.tensor([[0.0, 1.0], [0.5, 0.0]])
    assert compute_ccc_loss(prediction, labels).item() == pytest.approx(-(2 / 3 - 1))


def test_ccc_gradient_equals_finite_differences():
    generator = torch.Generator().manual_seed(0)
    labels = torch.rand(6, 2, generator=generator, dtype=torch.float64)
    prediction = torch.rand(6, 2, generator=generator, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: compute_ccc_loss(x, labels), (prediction,))


def test_sample_ccc_by_hand():
    """Two pairs: covariance .25 and variances .5 and .125, all by n - 1 = 1; the means differ by .25 and .5."""
    labels = torch.tensor([[0.0, 0.0], [1.0, 1.0]])
    prediction = torch.tensor([[0.0, 0.5], [0.5, 1.5]])
    loss = LOSSES["ccc_sample"](prediction, labels)
    assert loss.item() == pytest.approx(-(0.5 / (0.5 + 0.125 + 0.0625) + 1.0 / (0.5 + 0.5 + 0.25)))
    assert LOSSES["ccc_sample"](prediction[:1], labels[:1]).item() == 0, "one utterance has no CCC"


@pytest.mark.parametrize("size", [1, 4])
def test_batch_without_ccc_leaves_the_gradient_at_zero(size):
    labels = torch.tensor([[0.3, -0.7]]).repeat(size, 1)
    prediction = torch.zeros(size, 2, requires_grad=True)
    loss = compute_ccc_loss(prediction, labels)
    loss.backward()
    assert loss.item() == 0
    assert (prediction.grad == 0).all()


def test_one_constant_dimension_does_not_stop_the_other():
    labels = torch.tensor([[0.3, 0.0], [0.3, 1.0]])
    prediction = torch.tensor([[0.1, 0.0], [0.2, 0.5]], requires_grad=True)
    loss = compute_ccc_loss(prediction, labels)
    loss.backward()
    assert loss.item() == pytest.approx(-2 / 3)
    assert (prediction.grad[:, 0] == 0).all()
    assert (prediction.grad[:, 1] != 0).all()


def test_every_loss_that_a_setting_names_is_least_where_the_labels_are_met():
    """By hand: predictions equal to the labels have an MSE of 0 and two CCCs of 1."""
    labels = torch.tensor([[0.0, 0.5], [1.0, -0.5], [0.5, 0.0]])
    assert set(LOSSES) == set(choices.LOSSES)
    assert {name: loss(labels, labels).item() for name, loss in LOSSES.items()} == {
        "mse": 0,
        "ccc": pytest.approx(-2),
        "ccc_sample": pytest.approx(-2),
    }
    assert all(loss(labels / 2, labels) > loss(labels, labels) for loss in LOSSES.values())
