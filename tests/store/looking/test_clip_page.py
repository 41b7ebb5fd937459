"""What stands in the page of one clip; how browsers show it is in test_browse.py."""

import base64
import io
import json
import re

import numpy as np
import pytest
from PIL import Image

from store import FeatureStore
from store.looking import clip_page, page_pictures
from store.looking.clip_page import as_json, render_clip
from store.looking.page_pictures import draw_spectrogram
from store.looking.quality import read_sound
from tests.store.stores import FINGERPRINTS


@pytest.fixture
def render(store, tmp_path):
    """Renders a clip's page; gives its text, the picture of its faces, and what is said of its quality."""

    def render_one(name):
        page = render_clip(store[0], FeatureStore(store[0])[name], "0f", tmp_path / "pages" / "clips")
        return page.text, page.picture, page.quality

    return render_one


def data_of(page):
    return json.loads(re.search(r"<script>const CLIP = (.*);</script>", page).group(1))


def test_json_cannot_end_the_script_it_stands_in():
    text = as_json({"name": "</script><b>ü"})
    assert "<" not in text
    assert json.loads(text) == {"name": "</script><b>ü"}


def test_a_clip_with_sound_and_faces_has_both(render, store, tmp_path):
    page, face, quality = render("v/a")
    clip = FeatureStore(store[0])["v/a"]
    assert quality is not None
    with Image.open(io.BytesIO(face)) as picture:
        assert (picture.format, picture.size) == ("JPEG", (5 * 96, 112))
        for k, crop in enumerate(clip.crops[..., ::-1]):
            face = np.asarray(picture)[:, 96 * k : 96 * (k + 1)]
            assert abs(face.mean(axis=(0, 1)) - crop.mean(axis=(0, 1))).max() < 2, "each in its place, red first"
    way = re.search(r'<audio[^>]*src="([^"]+)"', page).group(1)
    assert (tmp_path / "pages" / "clips" / way).resolve().is_file(), "from where the page lies"
    places = re.findall(r'<img src="0f.jpg" style="object-position: ([0-9.]+)% 0"', page)
    assert list(map(float, places)) == [0, 25, 50, 75, 100]
    heights = np.frombuffer(base64.b64decode(data_of(page)["waveform"]), np.uint8).reshape(-1, 2)
    np.testing.assert_array_equal(heights, np.rint(50 * (1 - read_sound(store[0], clip).outline)))
    (spectrogram,) = re.findall(r"data:image/png;base64,([A-Za-z0-9+/=]+)", page)
    with Image.open(io.BytesIO(base64.b64decode(spectrogram))) as picture:
        assert picture.size == (30, 129), "a column for each frame, a row for two of 257 frequencies"


def test_the_track_is_where_the_faces_are(render, store):
    page, _, _ = render("v/a")
    clip, data = FeatureStore(store[0])["v/a"], data_of(page)
    assert data["number"] == "0f"
    assert data["times"] == pytest.approx(clip.face_times.tolist(), abs=1e-3)
    np.testing.assert_allclose(data["boxes"], clip.boxes, atol=0.5)
    np.testing.assert_allclose(np.reshape(data["landmarks"], (-1, 5, 2)), clip.landmarks, atol=0.5)
    assert len(data["scores"]) == 5


def test_a_long_track_is_thinned_evenly(render, monkeypatch):
    monkeypatch.setattr(clip_page, "_MOST_FACES", 2)
    data = data_of(render("v/a")[0])
    assert data["times"] == pytest.approx([0, 3 / 25], abs=1e-3)
    assert len(data["boxes"]) == len(data["landmarks"]) == len(data["scores"]) == 2


def test_a_wide_spectrogram_keeps_the_loudest_of_what_shares_a_column(monkeypatch):
    monkeypatch.setattr(page_pictures, "MOST_COLUMNS", 2)
    stft = np.full((4, 257, 2), 1e-3, np.float32)
    stft[1, 0], stft[2, 256] = 1, 1  # in the first of two columns the lowest frequency, in the second the highest
    with Image.open(io.BytesIO(draw_spectrogram(stft))) as picture:
        assert picture.mode == "P"
        levels = np.asarray(picture)
    assert levels.shape == (129, 2)
    assert (levels[-1, 0], levels[0, 1]) == (255, 255), "high frequencies are at the top"
    assert levels[-1, 1] == levels[0, 0] == levels[64, 0] < 100


def test_a_clip_without_faces_or_stages_has_its_page(render, store):
    page, face, _ = render("v/b")
    assert face is None
    assert ".jpg" not in page
    assert data_of(page)["times"] == []
    root, assigned = store
    for stage in FINGERPRINTS:
        (root / stage / FINGERPRINTS[stage] / f"{assigned['w/a']}.h5").unlink(missing_ok=True)
    page, face, _ = render("w/a")
    assert (face, data_of(page)["frame"]) == (None, None)
    assert "data:image/" not in page
