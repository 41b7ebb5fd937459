import torch

from models.seeding import seeded


def test_streams_depend_on_all_numbers_of_the_seed():
    drawn = []
    for seed in ((1, 2), (1, 2), (1, 3), (2, 2), (12,)):
        with seeded(*seed):
            drawn.append(tuple(torch.rand(4).tolist()))
    assert drawn[0] == drawn[1]
    assert len(set(drawn)) == 4


def test_generator_is_given_back():
    torch.manual_seed(5)
    expected = torch.rand(4).tolist()
    torch.manual_seed(5)
    with seeded(1):
        torch.rand(100)
    assert torch.rand(4).tolist() == expected
