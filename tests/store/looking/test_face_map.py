"""The map of the clips by their faces."""

from types import SimpleNamespace

import numpy as np

from store.looking import face_map
from store.looking.face_map import map_faces


class Rows:
    """A shard of one clip."""

    def __init__(self, embeddings):
        self._embeddings = np.asarray(embeddings, np.float32)

    def fact(self, name, fact):
        assert fact == "length"
        return len(self._embeddings)

    def rows(self, name, dataset):
        assert dataset == "embedding"
        return self._embeddings


def store_of(clips):
    return {name: SimpleNamespace(find_shard=lambda stage, rows=rows: rows) for name, rows in clips.items()}


def test_places_are_the_projections_on_the_two_largest_axes():
    rng = np.random.default_rng(4)
    means = rng.normal(size=(12, 1)) * [3, 0, 0, 0, 0] + rng.normal(size=(12, 5)) * [0, 1, 0.1, 0.1, 0.1]
    clips = {f"v/{k}": Rows([mean - 0.5, mean + 0.5]) for k, mean in enumerate(means)}
    points, shares = map_faces(store_of(clips), list(clips))
    # The same by NumPy's singular values.
    centred = means.astype(np.float32) - means.astype(np.float32).mean(axis=0)
    left, values, _ = np.linalg.svd(centred, full_matrices=False)
    expected = left[:, :2] * values[:2]
    found = np.array([points[name] for name in clips])
    np.testing.assert_allclose(np.abs(found), np.abs(expected) / np.abs(expected).max(), atol=1e-3)
    np.testing.assert_allclose(shares, (values**2 / (values**2).sum())[:2], rtol=1e-5)
    assert found.max() == 1
    assert all(column[np.abs(column).argmax()] > 0 for column in found.T), "the sign of an axis is fixed"


def test_without_three_faces_that_differ_there_is_no_map():
    nothing = ({}, (0.0, 0.0))
    two = {"v/a": Rows([[1, 2]]), "v/b": Rows([[3, 4]]), "v/c": Rows(np.zeros((0, 2))), "v/d": None}
    assert map_faces(store_of(two), list(two)) == nothing
    equal = {f"v/{k}": Rows([[1, 2]]) for k in range(4)}
    assert map_faces(store_of(equal), list(equal)) == nothing
    odd = {f"v/{k}": Rows([[k, np.nan]]) for k in range(4)}
    assert map_faces(store_of(odd), list(odd)) == nothing
    assert map_faces(store_of({}), []) == nothing


def test_of_many_clips_some_are_taken_evenly(monkeypatch):
    monkeypatch.setattr(face_map, "MOST_CLIPS", 5)
    clips = {f"v/{k}": Rows([[k, k % 3]]) for k in range(9)}
    assert list(map_faces(store_of(clips), list(clips))[0]) == ["v/0", "v/2", "v/4", "v/6", "v/8"]
