"""One utterance as a picture."""

import io

import numpy as np
import pytest
from PIL import Image

from store import FeatureStore, StoreError
from store.looking.plots import compute_decibels, decode_jpeg, pick_rows, plot_utterance, read_faces
from tests.store.stores import FINGERPRINTS, make_store


def test_levels_are_decibels_below_the_loudest():
    stft = np.zeros((3, 257, 2), np.float32)
    stft[0, 5], stft[1, 5], stft[2, 7] = (3, 4), (0, 0.5), (5e-9, 0)
    levels = compute_decibels(stft)
    assert levels.shape == (257, 3), "frequencies are rows"
    assert levels[5, 0] == 0
    assert levels[5, 1] == pytest.approx(-20), "a tenth of the amplitude"
    assert levels[7, 2] == levels[0, 0] == -80, "nothing is quieter"
    assert (compute_decibels(np.zeros((2, 257, 2))) == -80).all(), "silence"
    assert compute_decibels(np.zeros((0, 257, 2))).shape == (257, 0)


@pytest.mark.parametrize(
    ("length", "count", "rows"), [(0, 12, []), (1, 12, [0]), (3, 12, [0, 1, 2]), (100, 3, [0, 50, 99]), (5, 1, [0])]
)
def test_rows_are_picked_evenly_with_the_first_and_the_last(length, count, rows):
    assert pick_rows(length, count).tolist() == rows


def test_faces_are_read_in_red_green_blue(store):
    root, _ = store
    clip = FeatureStore(root)["v/a"]
    rows, faces = read_faces(clip, 2)
    assert rows.tolist() == [0, 4]
    assert np.array_equal(faces[1], clip.crops[4][..., ::-1])
    rows, faces = read_faces(FeatureStore(root)["v/b"])
    assert (rows.tolist(), faces) == ([], [])


def test_jpeg_images_are_read_in_red_green_blue():
    data = io.BytesIO()
    Image.new("RGB", (16, 8), (200, 20, 20)).save(data, "JPEG", quality=95)
    image = decode_jpeg(data.getvalue())
    assert image.shape == (8, 16, 3)
    np.testing.assert_allclose(image[4, 8], (200, 20, 20), atol=3)


def test_a_picture_is_drawn_without_faces(store, tmp_path):
    plot_utterance(FeatureStore(store[0])["v/b"], tmp_path / "clip.png")
    with Image.open(tmp_path / "clip.png") as picture:
        assert picture.size == (1000, 700)
        assert len(set(picture.convert("L").tobytes())) > 20, "something is drawn"


def test_a_clip_of_which_there_is_nothing_to_draw_is_refused(store, tmp_path):
    root, assigned = store
    for stage in ("stft", "faces"):
        (root / stage / FINGERPRINTS[stage] / f"{assigned['w/a']}.h5").unlink()
    with pytest.raises(StoreError, match="w/a has neither sound nor faces in this store; see `why`"):
        plot_utterance(FeatureStore(root)["w/a"], tmp_path / "clip.png")
    assert not (tmp_path / "clip.png").exists()


def test_a_name_is_no_formula_and_draws_no_sign_that_steers(tmp_path):
    name = "v$\\x$/a$_{$^"
    make_store(tmp_path / "store", {"one": {name: (40, 0)}})
    plot_utterance(FeatureStore(tmp_path / "store")[name], tmp_path / "clip.png")
    assert (tmp_path / "clip.png").stat().st_size > 0
