"""A user's own network: how it is called, and the checks that it passes before it runs for hours."""

from collections.abc import Callable

import numpy as np

#: Takes (B, ...) float32 and gives (B, ...); for a whole sound, takes (1, N) and gives (T, D) or (1, T, D).
Network = Callable[[np.ndarray], np.ndarray]

# Largest difference by rounding, relative to the largest number, between the rows of one input in two batches.
_SAME_ROW = 1e-3


class ModelError(ValueError):
    """A network cannot be used; the message is a sentence without the feature's name."""


def compute_rows(network: Network, inputs: np.ndarray) -> np.ndarray:
    """Compute a row for each input.

    Args:
        network: the user's.
        inputs: (B, ...) float32.

    Returns:
        (B, D) float32; an output with more dimensions is flattened.

    Raises:
        ModelError: the network's output has another shape or type.
    """
    given = _as_numbers(network(inputs))
    if given.ndim < 2 or len(given) != len(inputs) or given.size == 0:
        raise ModelError(f"it gives {given.shape} for {inputs.shape}: it must give ({len(inputs)}, numbers)")
    return np.ascontiguousarray(given.reshape(len(inputs), -1), dtype=np.float32)


def compute_sequence(network: Network, sound: np.ndarray) -> np.ndarray:
    """Compute the rows of a whole sound, (T, D) float32 of (N,) float32; raises as `compute_rows` does."""
    given = _as_numbers(network(sound[None]))
    if given.ndim == 3 and len(given) == 1:
        given = given[0]
    if given.ndim != 2 or given.shape[1] == 0:
        raise ModelError(f"it gives {given.shape} for (1, {len(sound)}): it must give (rows, numbers)")
    return np.ascontiguousarray(given, dtype=np.float32)


def measure_width(compute: Callable[[np.ndarray], np.ndarray], made: np.ndarray, *, are_rows: bool) -> int:
    """Try a network on made inputs, and return how many numbers its rows have.

    Args:
        compute: returns the rows of inputs.
        made: the inputs.
        are_rows: True if each input has its own row, which must not depend on the other inputs.

    Raises:
        ModelError: the output has another shape, is not finite, differs from call to call, or mixes the inputs.
    """
    first, again = compute(made), compute(made)
    if not len(first):
        raise ModelError(f"it gives no rows for a test input of {made.shape}")
    if not np.isfinite(first).all():
        raise ModelError("it gives NaN or infinite numbers for a test input; check mean, deviation and precision")
    if not np.array_equal(first, again):
        raise ModelError("it gives other numbers when it runs again; export it in evaluation mode, without dropout")
    if are_rows and len(made) > 1:
        turned = compute(np.ascontiguousarray(made[::-1]))[::-1]
        if np.abs(turned - first).max() > _SAME_ROW * max(1.0, float(np.abs(first).max())):
            raise ModelError(
                "its output for an input depends on the other inputs in the batch; export it in evaluation mode"
            )
    return int(first.shape[1])


def _as_numbers(given: object) -> np.ndarray:
    if not isinstance(given, np.ndarray) or given.dtype.kind not in "fiu":
        kind = given.dtype if isinstance(given, np.ndarray) else type(given).__name__
        raise ModelError(f"it gives {kind}: it must give a NumPy array of numbers")
    return given


def first_line(error: Exception) -> str:
    """Return the first line of an error's message, of at most 300 letters."""
    return (str(error).strip() or type(error).__name__).splitlines()[0][:300]
