"""`[run] select_on = train`: recordings of the training split that choose the epoch and are not trained on."""

import hashlib
from collections import Counter
from collections.abc import Iterable

from pipeline.dataset.utterances import Dataset

#: Share of the labelled training clips that is held out. The official validation split is a fifth, too (617 of 3059).
SHARE = 0.2


class HoldingOutError(ValueError):
    """Nothing can be held out."""


def hold_out(dataset: Dataset) -> frozenset[str]:
    """Choose the utterances of the training split that are held out: whole recordings, and the same ones every time.

    Raises:
        HoldingOutError: All labelled clips of the training split are of one recording.
    """
    utterances = [u for u in dataset.utterances if u.split == "train"]
    groups = dataset.grouping.take(u.name for u in utterances)
    held = choose_recordings(group for u, group in zip(utterances, groups, strict=True) if u.arousal is not None)
    return frozenset(u.name for u, group in zip(utterances, groups, strict=True) if group in held)


def choose_recordings(recordings: Iterable[str]) -> frozenset[str]:
    """Choose the recordings that are held out, from the recording of each labelled training clip.

    Only the names of the recordings decide their order, so added clips or another seed change few of them. Recordings
    are taken in this order until they have a fifth of the clips. A recording with more than a tenth of the clips is
    skipped, so that several recordings make the choice. If all are that large, the smallest is taken.

    Raises:
        HoldingOutError: There are fewer than two recordings.

    >>> sorted(choose_recordings(["a", "a", "b", "b", "c"]))
    ['c']
    """
    sizes = Counter(recordings)
    if len(sizes) < 2:
        raise HoldingOutError(
            f"the labelled clips of the training split come from {len(sizes)} recording, and holding some out needs "
            "two; set [run] select_on = validation, or name the column that tells recordings apart in [dataset] "
            "group"
        )
    wanted = SHARE * sizes.total()
    order = sorted(sizes, key=lambda name: (hashlib.sha256(name.encode()).digest(), name))
    held: list[str] = []
    for name in order:
        if sum(map(sizes.__getitem__, held)) >= wanted:
            break
        if sizes[name] <= wanted / 2:
            held.append(name)
    return frozenset(held or [min(order, key=sizes.__getitem__)])
