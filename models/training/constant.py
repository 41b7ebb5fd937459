"""Networks that say the same of every clip: seen while they are trained, so that nobody waits for their end."""

from collections.abc import Sequence

from models.training.metrics import EpochMetrics

#: A standard deviation over clips below which what a network says of them is one and the same.
SMALLEST_SPREAD = 0.001
#: Epochs in a row after which it is told: one or two are what a training may begin with.
FEWEST_CONSTANT = 3
#: A mean as far out is an end of the range, where tanh and sigmoid hardly change any more.
_END = 0.95


def is_constant(metrics: EpochMetrics) -> bool:
    """Tell whether a network said the same of all clips that chose the epoch, of arousal or of valence."""
    spreads = (metrics.spread_arousal, metrics.spread_valence)
    return metrics.num_validation > 1 and any(spread < SMALLEST_SPREAD for spread in spreads)


def count_constant(history: Sequence[EpochMetrics]) -> int:
    """Count the epochs at the end in which it did."""
    return next((count for count, metrics in enumerate(reversed(history)) if not is_constant(metrics)), len(history))


def find_constant(history: Sequence[EpochMetrics]) -> list[EpochMetrics]:
    """Give the epochs in which it did, of those that are `FEWEST_CONSTANT` or more in a row."""
    found: list[EpochMetrics] = []
    for end in range(1, len(history) + 1):
        count = count_constant(history[:end])
        if count >= FEWEST_CONSTANT:
            found += history[end - count : end] if count == FEWEST_CONSTANT else [history[end - 1]]
    return found


def describe_constant(
    history: Sequence[EpochMetrics], *, loss: str, learning_rate: float, gradient_clip: float, arousal_output: str
) -> str:
    """Say that the last epochs were such, and what to try.

    Args:
        history: of the training so far.
        loss: that it minimises.
        learning_rate: of its first epoch.
        gradient_clip: its largest norm over all gradients.
        arousal_output: the range of arousal, tanh or sigmoid.
    """
    last, count = history[-1], count_constant(history)
    numbers = ", ".join(
        f"{name} {mean:.3f} with a deviation of {spread:.4f}"
        for name, mean, spread in (
            ("arousal", last.mean_arousal, last.spread_arousal),
            ("valence", last.mean_valence, last.spread_valence),
        )
    )
    # Sigmoid's other end is 0.
    arousal = 2 * last.mean_arousal - 1 if arousal_output == "sigmoid" else last.mean_arousal
    is_at_end = max(abs(arousal), abs(last.mean_valence)) > _END
    if not is_at_end and count == len(history):
        advice = (
            f"it has not begun to learn: try more epochs or a higher learning_rate (it is {learning_rate:g}), and "
            "check whether the features differ between clips (`valar store browse`)"
        )
    else:
        why = "they are stuck at an end of their range" if is_at_end else "before, they were not"
        other = ", or loss = mse" if loss.startswith("ccc") else ""
        advice = (
            f"{why}, as after steps that were too large: try gradient_clip = {min(1.0, gradient_clip / 10):g} (it is "
            f"{gradient_clip:g}), a lower learning_rate (it is {learning_rate:g}){other}"
        )
    return (
        f"{last.kind}: constant predictions: in epochs {last.epoch - count + 1} to {last.epoch} it predicted the "
        f"same for all {last.num_validation} clips that choose the epoch ({numbers}); {advice}"
    )
