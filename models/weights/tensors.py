"""Reading a file of weights."""

from pathlib import Path

import torch

from models.tensor_files import TensorFileError, read_tensors
from models.weights.table import WeightsError


def load_state_dict(path: Path) -> dict[str, torch.Tensor]:
    """Load a file of tensors; anything else inside is refused, since unpickling it could run code.

    Returns:
        Tensors by their published names, on the CPU.

    Raises:
        WeightsError: the file holds other things than tensors by name, or is damaged.
        OSError: it cannot be opened.
    """
    try:
        state = read_tensors(path)
    except TensorFileError as error:
        raise WeightsError(f"{path} cannot be read as a file of weights: {error}; fetch it again") from error
    if not isinstance(state, dict) or not all(isinstance(key, str) for key in state):
        raise WeightsError(f"{path} holds {type(state).__name__}, not tensors by name")
    other = next((value for value in state.values() if not isinstance(value, torch.Tensor)), None)
    if other is not None:
        raise WeightsError(f"{path} holds {type(other).__name__} among its tensors: it must hold tensors by name only")
    return dict(state)
