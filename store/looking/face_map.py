"""A map of the clips by their faces: mean embeddings in the plane of their two largest variances (PCA)."""

from collections.abc import Sequence

import numpy as np

from store.catalog.feature_store import FeatureStore

#: Most clips on the map; of more clips, so many are picked evenly.
MOST_CLIPS = 2000
#: Most faces of a clip whose embeddings are averaged.
_FACES = 16


def map_faces(store: FeatureStore, names: Sequence[str]) -> tuple[dict[str, tuple[float, float]], tuple[float, float]]:
    """Place clips in a plane so that clips with similar embeddings are near each other.

    Args:
        store: With the stage `embeddings`; without it the map is empty.
        names: The clips; those without a face are left out.

    Returns:
        Each clip's place, both axes within [-1, 1] by one common scale, and the share of the variance of each axis.
    """
    taken = [names[k] for k in np.unique(np.linspace(0, len(names) - 1, min(len(names), MOST_CLIPS)).astype(int))]
    means = {}
    for name in taken:
        shard = store[name].find_shard("embeddings")
        length = 0 if shard is None else shard.fact(name, "length")
        if shard is not None and length:
            rows = shard.rows(name, "embedding")[:: -(-length // _FACES)]
            means[name] = np.asarray(rows, np.float64).mean(axis=0)
    if len(means) < 3:
        return {}, (0.0, 0.0)
    matrix = np.stack(list(means.values()))
    matrix = matrix - matrix.mean(axis=0)
    if not np.isfinite(matrix).all() or not matrix.any():
        return {}, (0.0, 0.0)
    variances, axes = np.linalg.eigh(matrix.T @ matrix)  # ascending
    places = matrix @ axes[:, :-3:-1]  # (N, 2)
    # The sign of an axis is arbitrary: the largest value is positive, so that equal stores give equal maps.
    places *= np.where(places[np.abs(places).argmax(axis=0), [0, 1]] < 0, -1.0, 1.0)
    places /= np.abs(places).max()
    shares = variances[:-3:-1] / variances.sum()
    points = {name: (round(x, 4), round(y, 4)) for name, (x, y) in zip(means, places.tolist(), strict=True)}
    return points, (float(shares[0]), float(shares[1]))
