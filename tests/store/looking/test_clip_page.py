"""What stands in the page of one clip; how browsers show it is in test_browse.py."""

import base64
import io
import json
import re
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from store import FeatureStore
from store.looking import clip_page
from store.looking.clip_page import as_json, render_clip
from tests.store.stores import FINGERPRINTS


@pytest.fixture
def render(store, tmp_path):
    """Renders a clip's page."""
    return lambda name: render_clip(FeatureStore(store[0]), name, "0f", tmp_path / "pages" / "clips")


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
        assert (picture.format, picture.size) == ("JPEG", (96, 112))
    way = re.search(r'<audio[^>]*src="([^"]+)"', page).group(1)
    assert (tmp_path / "pages" / "clips" / way).resolve().is_file(), "from where the page lies"
    assert page.count("data:image/jpeg;base64,") == len(clip.face_times) == 5
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
    monkeypatch.setattr(clip_page, "_MOST_COLUMNS", 2)
    stft = np.full((4, 257, 2), 1e-3, np.float32)
    stft[1, 0], stft[2, 256] = 1, 1  # in the first of two columns the lowest frequency, in the second the highest
    clip = SimpleNamespace(name="v/a", stft=stft, shards={"stft": SimpleNamespace(fact=lambda *what: 4)})
    data = base64.b64decode(clip_page._draw_spectrogram(clip).partition(",")[2])
    levels = np.asarray(Image.open(io.BytesIO(data)))
    assert levels.shape == (129, 2)
    assert (levels[-1, 0], levels[0, 1]) == (255, 255), "high frequencies are at the top"
    assert levels[-1, 1] == levels[0, 0] == levels[64, 0] < 100


def test_a_clip_without_faces_or_stages_has_its_page(render, store):
    page, face, _ = render("v/b")
    assert face is None
    assert "data:image/jpeg" not in page
    assert data_of(page)["times"] == []
    root, assigned = store
    for stage in FINGERPRINTS:
        (root / stage / FINGERPRINTS[stage] / f"{assigned['w/a']}.h5").unlink(missing_ok=True)
    page, face, _ = render("w/a")
    assert (face, data_of(page)["frame"]) == (None, None)
    assert "data:image/" not in page
