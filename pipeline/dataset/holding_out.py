"""`[run] select_on = train`: the recordings of the training split that are not trained on, but choose the epoch."""

import hashlib
from collections import Counter
from collections.abc import Iterable

from pipeline.dataset.utterances import Dataset

#: Of the labelled training clips, what is held out: a fifth, as the official validation split is of all (617 of 3059).
SHARE = 0.2


class HoldingOutError(ValueError):
    """Nothing can be held out."""


def hold_out(dataset: Dataset) -> frozenset[str]:
    """Choose the utterances of the training split that are held out: whole recordings, always the same ones.

    Raises:
        HoldingOutError: The labelled clips of the training split are of one recording.
    """
    utterances = [u for u in dataset.utterances if u.split == "train"]
    groups = dataset.grouping.take(u.name for u in utterances)
    held = choose_recordings(group for u, group in zip(utterances, groups, strict=True) if u.arousal is not None)
    return frozenset(u.name for u, group in zip(utterances, groups, strict=True) if group in held)


def choose_recordings(recordings: Iterable[str]) -> frozenset[str]:
    """Choose the recordings that are held out, from the recording of each labelled training clip.

    They come in an order that nothing but their names decides, until they have a fifth of the clips; so other clips or
    another seed move few of them. One with more than a tenth of the clips is passed over: the choice is to rest on
    several. Where all are as large, the smallest is taken.

    Raises:
        HoldingOutError: There are fewer than two.

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
