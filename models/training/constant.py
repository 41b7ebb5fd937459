"""Networks that predict the same for every clip: found during the training, so that nobody waits for its end."""

from collections.abc import Sequence

from models.training.metrics import EpochMetrics

#: Predictions whose standard deviation over the clips is below this count as constant.
SMALLEST_SPREAD = 0.001
#: Consecutive constant epochs after which a warning is given: a good training may begin with one or two.
FEWEST_CONSTANT = 3
#: A mean beyond this, on either side, is at an end of the range, where tanh and sigmoid hardly change any more.
_END = 0.95


def is_constant(metrics: EpochMetrics) -> bool:
    """Tell whether arousal or valence was constant over the validation clips of an epoch."""
    spreads = (metrics.spread_arousal, metrics.spread_valence)
    return metrics.num_validation > 1 and any(spread < SMALLEST_SPREAD for spread in spreads)


def count_constant(history: Sequence[EpochMetrics]) -> int:
    """Count the consecutive constant epochs at the end."""
    return next((count for count, metrics in enumerate(reversed(history)) if not is_constant(metrics)), len(history))


def find_constant(history: Sequence[EpochMetrics]) -> list[EpochMetrics]:
    """Return the constant epochs of each series of at least `FEWEST_CONSTANT` consecutive ones."""
    found: list[EpochMetrics] = []
    for end in range(1, len(history) + 1):
        count = count_constant(history[:end])
        if count >= FEWEST_CONSTANT:
            found += history[end - count : end] if count == FEWEST_CONSTANT else [history[end - 1]]
    return found


def describe_constant(
    history: Sequence[EpochMetrics], *, loss: str, learning_rate: float, gradient_clip: float, arousal_output: str
) -> str:
    """Say that the predictions of the last epochs were constant, and what to try.

    Args:
        history: of the training so far.
        loss: that the training minimises.
        learning_rate: of the first epoch.
        gradient_clip: largest norm of all gradients together.
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
        why = "they are stuck at an end of their range" if is_at_end else "they differed before"
        other = ", or loss = mse" if loss.startswith("ccc") else ""
        advice = (
            f"{why}, so the steps were probably too large: try gradient_clip = {min(1.0, gradient_clip / 10):g} (it is "
            f"{gradient_clip:g}), a lower learning_rate (it is {learning_rate:g}){other}"
        )
    return (
        f"{last.kind}: constant predictions: in epochs {last.epoch - count + 1} to {last.epoch} it predicted the "
        f"same for all {last.num_validation} clips that choose the epoch ({numbers}); {advice}"
    )
