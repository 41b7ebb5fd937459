import numpy as np
import pytest

from benchmarks.__main__ import main
from benchmarks.clips import choose_clips
from benchmarks.faces_accuracy import compare
from benchmarks.features import format_row, save_random_weights
from benchmarks.speaker import VARIATIONS, list_pairs, load_actor, measure, rest
from models.mtcnn.detector import Mtcnn
from models.mtcnn.networks import load_networks
from models.weights.table import resolve_weights
from pipeline.faces.speaker_faces import SpeakerFaces
from pipeline.stages.device import torch_threads


def test_without_a_name_they_are_listed(capsys):
    assert main([]) == 0
    listed = capsys.readouterr().out
    for name in ("features", "faces_accuracy", "memory"):
        assert f"\n{name} " in f"\n{listed}"
    assert "mtcnn_worker" not in listed
    assert main(["featurs"]) == 2


def test_clips_that_are_not_there(tmp_path):
    with pytest.raises(SystemExit, match=r"none.mp4: no such file; name clips"):
        choose_clips([tmp_path / "none.mp4"])
    with pytest.raises(SystemExit, match="no clips in"):
        choose_clips([tmp_path])


def test_a_row_tells_ratios_and_shares_of_the_bound():
    row = {
        "name": "clip",
        "frames": 100,
        "faces": 90,
        "ours": 2.0,
        "core_seconds": 4.0,
        "recipe": 30.0,
        "decoding": 0.5,
        "embedding": 1.0,
        "embedding_pytorch": 1.7,
        "decoding_core_seconds": 1.0,
        "embedding_core_seconds": 2.0,
        "stages": {"faces": 1.5, "embed": 0.5},
    }
    assert format_row(row).split() == (
        ["clip", "100", "90", "2.00", "50.0", "15.0x", "75%", "75%", "110%", "|", "0.50", "1.00", "|", "1.50", "0.50"]
    )


def test_random_weights_in_a_file_are_taken_like_published_ones(tmp_path):
    found = resolve_weights("sphereface20", str(save_random_weights(tmp_path)))
    assert not found.is_random
    other = tmp_path / "other"
    other.mkdir()
    assert resolve_weights("sphereface20", str(save_random_weights(other))).sha256 == found.sha256


def make_faces(frames: list[int], shift: float) -> SpeakerFaces:
    template = np.array([[30, 52], [65, 52], [48, 72], [33, 92], [63, 92]], np.float32)
    empty = np.empty(0)
    landmarks = np.repeat(template[None] + shift, len(frames), axis=0)
    return SpeakerFaces(np.array(frames, np.int32), empty, landmarks, empty, empty, 10, 10, 1, 0, 0, empty, (0,), ())


def test_tracking_is_compared_over_the_frames_that_both_have():
    row = compare(make_faces([0, 1, 2, 5], 3.5), make_faces([1, 2, 5, 6], 0.0))
    assert row["coverage"] == 0.75
    # A shift by (3.5, 3.5) px at an eye distance of 35 px; the template's crop has nearly the same scale.
    assert row["landmarks"] == pytest.approx(0.1 * np.sqrt(2), rel=1e-4)
    assert len(row["crop_distances"]) == 3
    assert row["crop_distances"][0] == pytest.approx(3.5 * np.sqrt(2), rel=0.02)
    assert row["jitter"] == pytest.approx(0)


def test_the_speaker_is_found_beside_a_larger_face_that_talks_too(media, tmp_path, capsys):
    detector = Mtcnn(load_networks(), smallest_face_px=30)
    clips = [media / "speech" / name for name in ("GRID_bbaf2n.mpg", "CREMAD_1001_DFA_FEA_XX.flv")]
    with torch_threads(1):
        actors = [load_actor(clip, detector, tmp_path) for clip in clips]
        assert load_actor(media / "odd" / "noaudio.mp4", detector, tmp_path) is None
        assert load_actor(media / "odd" / "two_faces_same_size.mp4", detector, tmp_path) is None
        pairs = list(list_pairs(actors, 1))
        assert [(one.collection, other.collection) for one, other in pairs] == [("GRID", "CREMAD"), ("CREMAD", "GRID")]
        assert rest(actors[0]).shape == actors[0].pictures.shape
        counts = measure(pairs, "half", detector, verbose=True)
    assert VARIATIONS["half"][:2] == (0.5, 1.0)
    assert (counts["pairs"], counts["same"], counts["largest"], counts["speaking"]) == (2, 0, 0, 2)
    assert capsys.readouterr().out.count("the speaker was chosen of 2 people in sight together") == 2
