import torch

from models.networks.precision import computing_exactly


def read_flags():
    cudnn = torch.backends.cudnn
    return cudnn.deterministic, cudnn.benchmark, cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32


def test_exact_computing_is_deterministic_full_float32_and_ends_with_its_block():
    before = read_flags()
    with computing_exactly():
        assert read_flags() == (True, False, False, False)
    assert read_flags() == before
