import re
import types
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from benchmarks.features import save_random_weights
from pipeline.dataset.overrides import Override
from pipeline.faces.likeness import LOOKS
from pipeline.media import extract_wav, scan_frames
from pipeline.stages import clip_faces
from pipeline.stages.clip_faces import ClipRequest, find_clip_faces, load_detector, load_likeness, read_sound_change
from pipeline.stages.device import torch_threads
from tests.models.features.test_coming_along import skip_without_packages


@pytest.fixture(scope="module")
def weights(tmp_path_factory) -> Path:
    return save_random_weights(tmp_path_factory.mktemp("weights"))


def test_random_weights_that_no_file_holds_know_nobody():
    assert load_likeness(None, "cpu") is LOOKS


def test_what_is_embedded_of_a_track_does_not_depend_on_the_other_tracks(weights):
    crops = np.random.default_rng(3).integers(0, 256, (30, 112, 96, 3), np.uint8)
    likeness = load_likeness(weights, "cpu")
    tracks = [np.arange(12), np.array([12]), np.arange(13, 30)]
    with torch_threads(1):
        together = likeness.describe(crops, tracks)
        alone = np.concatenate([likeness.describe(crops, [rows]) for rows in tracks])
    assert together.shape == (3, 512)
    assert np.linalg.norm(together, axis=1) == pytest.approx([1, 1, 1])
    assert (together == alone).all()


@pytest.mark.parametrize(("multiplies", "precision"), [(True, "bfloat16"), (False, "float32")])
def test_likeness_is_computed_the_way_that_is_fast_on_the_device(weights, monkeypatch, multiplies, precision):
    arguments, sizes = [], []

    def embed(crops: np.ndarray, *, batch_size: int) -> np.ndarray:
        sizes.append((len(crops), batch_size))
        return np.ones((len(crops), 512), np.float32)

    def note_load(*given: object) -> types.SimpleNamespace:
        arguments.append(given)
        return types.SimpleNamespace(embed=embed)

    monkeypatch.setattr(clip_faces, "multiplies_bfloat16", lambda device: multiplies)
    monkeypatch.setattr(clip_faces, "load_embedder", note_load)
    load_likeness(weights, "cpu").describe(np.zeros((9, 112, 96, 3), np.uint8), [np.arange(9)])
    assert arguments == [(weights, precision, "cpu")]
    assert sizes == [(4, 8)]


def make_request(clip: Path, scratch: Path, **changes: Any) -> ClipRequest:
    override = changes.get("override", Override())
    request = ClipRequest(
        name="clip",
        table=scan_frames(clip, turn_degrees=override.rotation or 0),
        source=clip,
        pixels=None,
        override=override,
        smallest_face_px=40,
        detect_every=25,
        weights=None,
        device="cpu",
        decoder_threads=1,
        scratch=scratch,
    )
    return replace(request, **changes)


@pytest.mark.parametrize(("detect_every", "where"), [(25, r"the \d\d frames looked at of 95"), (1, "95 frames")])
def test_that_nobody_was_seen_is_said_of_the_frames_looked_at(media, tmp_path, detect_every, where):
    request = make_request(
        media / "odd" / "noface_animation.mp4", tmp_path, smallest_face_px=60, detect_every=detect_every
    )
    with torch_threads(1):
        found = find_clip_faces(request, load_detector(60, "cpu", 1))
    assert found.status == "no_face"
    assert re.fullmatch(f"no face of 60 pixels or more in {where}.*", found.message)


def test_a_picture_on_its_head_is_told_and_the_overrides_turn_it(media, tmp_path):
    clip = media / "odd" / "upside_down_no_metadata.mp4"
    with torch_threads(1):
        found = find_clip_faces(make_request(clip, tmp_path), load_detector(40, "cpu", 1))
        turned = find_clip_faces(
            make_request(clip, tmp_path, override=Override(rotation=180)), load_detector(40, "cpu", 1)
        )
    assert "when the frame is turned clockwise by 180 degrees" in found.message
    assert "rotation = 180 in the overrides" in found.message
    assert found.faces.scores.mean() < 0.9
    assert (turned.status, turned.message, len(turned.faces.frame_indices)) == ("ok", "", 75)
    assert turned.faces.scores.mean() > 0.99


def test_one_person_has_the_same_faces_under_all_rules(media, tmp_path):
    clip = media / "speech" / "GRID_bbaf2n.mpg"
    with torch_threads(1):
        found = [
            find_clip_faces(make_request(clip, tmp_path, speaker=rule, still_faces=stills), load_detector(40, "cpu", 1))
            for rule, stills in (("largest", "count"), ("speaking", "skip"), ("speech", "count"))
        ]
    assert len({each.message for each in found}) == 1
    assert len({each.faces.crops.tobytes() for each in found}) == 1
    assert len({each.faces.landmarks.tobytes() for each in found}) == 1
    assert not list(tmp_path.rglob("sound.wav"))


def test_the_channel_that_was_asked_for_is_listened_to_wherever_the_sound_comes_from(media, tmp_path, monkeypatch):
    """Else the order of sound and picture would choose the face."""
    rng = np.random.default_rng(1)
    both = np.stack(
        [np.sin(np.arange(32000) / 9), rng.normal(0, 0.2, 32000) * (np.arange(32000) % 8000 > 4000)], axis=1
    )
    soundfile.write(tmp_path / "two.wav", both.astype(np.float32), 16000)
    asked = []
    monkeypatch.setattr(
        clip_faces, "choose_evidence", lambda times, *, speaker, still_faces, listen: asked.append(listen())
    )
    heard = replace(make_request(media / "speech" / "GRID_bbaf2n.mpg", tmp_path), source=tmp_path / "two.wav")
    extract_wav(tmp_path / "two.wav", tmp_path / "second.wav", channel=1)
    for wav in (None, tmp_path / "second.wav"):
        clip_faces._choose_evidence(replace(heard, wav=wav, override=Override(audio_channel=1)), tmp_path)
    assert asked[0].values.tolist() == asked[1].values.tolist()
    clip_faces._choose_evidence(replace(heard, wav=None, override=Override()), tmp_path)
    assert asked[2].values.tolist() != asked[0].values.tolist()


def test_the_sound_in_the_store_is_the_one_that_would_be_extracted(media, tmp_path):
    clip = media / "speech" / "GRID_bbaf2n.mpg"
    extract_wav(clip, tmp_path / "stored.wav")
    stored = read_sound_change(None, tmp_path, wav=tmp_path / "stored.wav")
    extracted = read_sound_change(clip, tmp_path, wav=tmp_path / "absent.wav")
    assert len(stored.values) == 297
    assert stored.values.tolist() == extracted.values.tolist()
    assert read_sound_change(media / "odd" / "noaudio.mp4", tmp_path) is None
    assert read_sound_change(None, tmp_path, wav=tmp_path / "absent.wav") is None


def test_only_the_speech_of_a_sound_is_heard_where_that_is_asked_for(media, tmp_path):
    skip_without_packages()
    extract_wav(media / "speech" / "GRID_bbaf2n.mpg", tmp_path / "stored.wav")
    usual, speech = (
        read_sound_change(None, tmp_path, wav=tmp_path / "stored.wav", only_speech=only) for only in (False, True)
    )
    # Before the first word there is a breath, and noise of the room; of the words all is left.
    share = speech.values / usual.values
    assert share[:30].mean() < 0.7
    assert share.max() > 0.9
    heard = []
    request = replace(make_request(media / "speech" / "GRID_bbaf2n.mpg", tmp_path), wav=tmp_path / "stored.wav")
    for rule in ("speaking", "speech"):
        heard.append(clip_faces._choose_evidence(replace(request, speaker=rule), tmp_path).listen())
    assert [each.values.tolist() for each in heard] == [usual.values.tolist(), speech.values.tolist()]
