"""How alike two tracks are: compared by embeddings of their crops, or by mean crops where there are no weights."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

# Mean crops are compared as small grey pictures of the inner face, brightness and contrast removed. Halves of the clips
# of 17 people who talk correlate by .81 to .99 with themselves and, under other light, by less than .78 with others;
# people filmed in one studio reach .88.
_LOOK_ROWS = slice(16, 104)
_LOOK_COLUMNS = slice(10, 86)
_LOOK_SIZE = (19, 22)
_LOOK_CROPS = 16
# Number of crops embedded for each track; one takes as long as following a face for a frame (docs/decisions/010).
_EMBEDDED_CROPS = 4
# Number of crops read for this at a time, so that memory does not grow with the number of tracks: 2 MiB.
_EMBEDDED_AT_ONCE = 64


@dataclass(frozen=True)
class Likeness:
    """How tracks are compared: by the cosine of the vectors that `describe` returns for them.

    Attributes:
        describe: (crops (N, 112, 96, 3) uint8, K arrays of rows, one a track) -> (K, D), vectors of length 1.
        same_person: least cosine at which two tracks are one person, wherever the face returns.
        same_place: least cosine at which they are one person when the face soon returns to its place with no cut.
    """

    describe: Callable[[np.ndarray, Sequence[np.ndarray]], np.ndarray]
    same_person: float
    same_place: float


def embedding_likeness(embed: Callable[[np.ndarray], np.ndarray]) -> Likeness:
    """Compare tracks by the embeddings of their faces, which light and pose change less than the person does.

    The authors' evaluation of the published weights separates single faces of one person from those of two people best
    at .31. The limit for any place is higher, since joining two people does more harm than missing one's return. The
    limit for a return to the same place is .3.

    Args:
        embed: crops (N, 112, 96, 3) uint8 to (N, 512), with published weights; random ones cannot tell persons apart.
    """

    def describe(crops: np.ndarray, tracks: Sequence[np.ndarray]) -> np.ndarray:
        chosen = [_choose_centres(rows, _EMBEDDED_CROPS) for rows in tracks]
        every = np.concatenate(chosen)
        blocks = [every[start : start + _EMBEDDED_AT_ONCE] for start in range(0, len(every), _EMBEDDED_AT_ONCE)]
        vectors = np.concatenate([embed(crops[block]) for block in blocks]).astype(np.float64)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        ends = np.cumsum([len(rows) for rows in chosen])[:-1]
        totals = np.stack([part.sum(axis=0) for part in np.split(vectors, ends)])  # (K, 512)
        unit: np.ndarray = totals / np.linalg.norm(totals, axis=1, keepdims=True)
        return unit

    return Likeness(describe, same_person=0.45, same_place=0.3)


def _choose_centres(rows: np.ndarray, most: int) -> np.ndarray:
    """Return the middle row of each of at most `most` equal parts: at a track's ends the face turns or is hidden."""
    num_parts = min(most, len(rows))
    return rows[(2 * np.arange(num_parts) + 1) * len(rows) // (2 * num_parts)]


def compute_look(crops: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Return the mean of a track's aligned crops as a vector of mean 0 and length 1, (418,) float64.

    Args:
        crops: (N, 112, 96, 3) uint8.
        rows: ascending rows of one track; at most 16 of them, evenly spread, are read.
    """
    import cv2

    spread = rows[np.unique(np.linspace(0, len(rows) - 1, _LOOK_CROPS).astype(int))]
    total = np.add.reduce(crops[spread], axis=(0, 3), dtype=np.float64)  # (112, 96)
    inner = total[_LOOK_ROWS, _LOOK_COLUMNS]
    small = np.asarray(cv2.resize(inner, _LOOK_SIZE, interpolation=cv2.INTER_AREA)).ravel()
    centred = small - small.mean()
    length = float(np.linalg.norm(centred))
    return centred / length if length > 0 else centred


def _compute_looks(crops: np.ndarray, tracks: Sequence[np.ndarray]) -> np.ndarray:
    return np.stack([compute_look(crops, rows) for rows in tracks])


#: Mean crops need no weights. The limits are explained at _LOOK_ROWS.
LOOKS = Likeness(_compute_looks, same_person=0.85, same_place=0.4)
