"""One video's features in one call, in a separate process with the settings of the folder."""

import json
import os
import subprocess
import sys

import imageio_ffmpeg
import pytest

CODE = """
import json, sys, valar
from pipeline.errors import UserError
try:
    clip = valar.extract(sys.argv[1], progress=False)
except UserError as error:
    print(json.dumps({"error": str(error)}))
else:
    shapes = {name: getattr(clip, name).shape for name in ("stft", "faces", "embeddings", "boxes", "landmarks")}
    times = [clip.stft_times[1].item(), clip.stft_times[-1].item(), len(clip.face_times)]
    peak = int(abs(clip.stft[50]).sum(axis=1).argmax())
    declared = {name: [rows.tolist(), clip.feature_times[name].tolist()] for name, rows in clip.features.items()}
    found = {"repr": repr(clip), "status": clip.status, "shapes": shapes, "times": times, "peak": peak}
    print(json.dumps({**found, "declared": declared}))
"""


@pytest.fixture
def folder(tmp_path):
    """A clip of one second without a face, with a tone of 2000 Hz, and settings that need no weights."""
    sources = ["-f", "lavfi", "-i", "testsrc2=size=64x48:rate=10:duration=1"]
    sources += ["-f", "lavfi", "-i", "sine=frequency=2000:duration=1"]
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", *sources, str(tmp_path / "a.mkv")]
    subprocess.run(command, check=True)
    return tmp_path


def extract_in(folder, name):
    environment = {key: value for key, value in os.environ.items() if key != "LUIGI_CONFIG_PATH"}
    command = [sys.executable, "-c", CODE, name]
    return json.loads(subprocess.run(command, cwd=folder, env=environment, capture_output=True, check=True).stdout)


def test_features_of_one_video(folder):
    settings = "[embeddings]\nweights = random\n[run]\nscratch = not/there/yet\n"
    (folder / "valar.cfg").write_text(settings, encoding="utf-8")
    found = extract_in(folder, "a.mkv")
    assert found["repr"].startswith("<Extraction of a.mkv: 1.0 s of sound, 0 frames with a face, faces no_face")
    assert found["status"]["stft"] == "ok"
    assert found["status"]["embeddings"] == "no_face"
    assert found["shapes"]["stft"] == [100, 257, 2]
    assert found["shapes"]["embeddings"] == [0, 512]
    assert found["shapes"]["faces"] == [0, 112, 96, 3]
    assert found["times"] == [0.01, pytest.approx(0.99), 0]
    assert found["peak"] == 64  # 2000 Hz of 16 000 in 512 points
    assert sorted(path.name for path in folder.iterdir()) == ["a.mkv", "not", "valar.cfg"]
    assert not list((folder / "not" / "there" / "yet").iterdir())


def test_declared_features_come_along(folder):
    (folder / "made.py").write_text(
        "def open(device):\n    return lambda batch: (batch**2).mean(axis=1, keepdims=True)\n"
    )
    settings = "[embeddings]\nweights = random\n[features.loud]\ninput = waveform\nmodel = made:open\n"
    (folder / "valar.cfg").write_text(settings + "window_seconds = 0.5\nhop_seconds = 0.25\n", encoding="utf-8")
    found = extract_in(folder, "a.mkv")
    rows, times = found["declared"]["loud"]
    assert times == [0.0, 0.25, 0.5]
    assert [row[0] for row in rows] == pytest.approx([0.125**2 / 2] * 3, rel=0.02)  # lavfi's sine has 1/8 of full scale
    assert found["status"]["sound_loud"] == "ok"


def test_what_has_to_be_mended_is_said(folder):
    assert "valar weights fetch sphereface20" in extract_in(folder, "a.mkv")["error"]
    assert extract_in(folder, "b.mkv")["error"] == "b.mkv is not a file; name one video or sound file"
    (folder / "valar.cfg").write_text("[embeddings]\nweights = random\n", encoding="utf-8")
    (folder / "notes.txt").write_text("no clip", encoding="utf-8")
    told = "notes.txt is neither video nor sound; name one file that ffmpeg reads"
    assert extract_in(folder, "notes.txt")["error"] == told
    (folder / "valar.cfg").write_text("seed = 1\n", encoding="utf-8")
    assert extract_in(folder, "a.mkv")["error"].startswith("valar.cfg:1: 'seed = 1' is before the first section")
