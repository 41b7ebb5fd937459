import os
import subprocess
from pathlib import Path

import cv2
import numpy as np
import pytest

from pipeline.__main__ import main
from pipeline.media import ffmpeg_binary


def draw(video: Path, sheet: Path, *options: str) -> int:
    return main(["faces", str(video), "-o", str(sheet), "--smallest-face", "60", "--pictures", "6", *options])


def test_a_sheet_of_two_speakers(media, tmp_path, capsys):
    clip = media / "odd" / "two_faces_same_size.mp4"
    for name in ("one.png", "again.png"):
        assert draw(clip, tmp_path / name, "--speaker", "540 170 @1.0") == 0
    text = capsys.readouterr().out
    assert "75 frames, 150 faces of all people, 2 tracks, 0 cuts" in text
    assert "who is missing in 0.0% of the frames" in text
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "again.png").read_bytes()
    sheet = cv2.imread(str(tmp_path / "one.png"))
    assert sheet.shape[1] == 1440
    # Both faces have a box of their colour in each of the six pictures; the speaker's crops come last.
    green, grey = ((sheet == color).all(axis=2).sum() for color in ((60, 170, 60), (150, 150, 150)))
    assert green > 6 * 300
    assert grey > 6 * 300
    assert len(np.unique(sheet[-100:-20, 20:100])) > 50


def test_a_clip_without_a_face_has_a_sheet_too(media, tmp_path, capsys):
    assert draw(media / "odd" / "noface_animation.mp4", tmp_path / "sheet.png") == 1
    assert "no face in" in capsys.readouterr().out
    assert cv2.imread(str(tmp_path / "sheet.png")).shape[1] == 1440


@pytest.mark.parametrize(("name", "beginning"), [("s.jpg", b"\xff\xd8\xff"), ("s.PNG", b"\x89PNG")])
def test_the_picture_is_what_its_name_says(media, tmp_path, name, beginning):
    assert draw(media / "odd" / "noface_animation.mp4", tmp_path / name) == 1
    assert (tmp_path / name).read_bytes().startswith(beginning)


def test_an_unknown_ending_is_refused(media, tmp_path, capsys):
    assert draw(media / "odd" / "noface_animation.mp4", tmp_path / "sheet.tiff") == 2
    assert "sheet.tiff ends in '.tiff'; it must be one of .png, .jpg, .jpeg" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_call_that_starts_small_has_a_face_in_every_frame(media, tmp_path, capsys):
    face = media / "speech" / "CREMAD_1001_DFA_ANG_XX.flv"
    content = b""
    for start, seconds, size in ((0, 0.4, "320:180"), (0.4, 0.8, "1280:720")):
        scale = f"scale=448:252,pad=1280:720:400:200:gray,scale={size},fps=25"
        command = [ffmpeg_binary(), "-v", "error", "-y", "-i", str(face), "-ss", str(start), "-t", str(seconds)]
        command += ["-vf", scale, "-c:v", "libx264", "-an", "-output_ts_offset", str(9 + start), "part.ts"]
        subprocess.run(command, check=True, cwd=tmp_path)
        content += (tmp_path / "part.ts").read_bytes()
    (tmp_path / "call.ts").write_bytes(content)
    assert draw(tmp_path / "call.ts", tmp_path / "sheet.png") == 0
    text = capsys.readouterr().out
    assert "who is missing in 0.0% of the frames" in text
    assert "the pictures change their size (320 x 180, 1280 x 720)" in text


def test_a_pipe_is_refused_and_not_waited_for(tmp_path, capsys):
    os.mkfifo(tmp_path / "pipe.mp4")
    assert draw(tmp_path / "pipe.mp4", tmp_path / "sheet.png") == 2
    assert "pipe.mp4 is not a file; name one video" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("clip", "options", "code", "words"),
    [
        ("odd/none.mp4", (), 2, "none.mp4 is not a file; name one video"),
        ("odd/two_faces_same_size.mp4", ("--speaker", "left"), 2, "speaker is 'left'; it must be a point"),
        (
            "odd/two_faces_same_size.mp4",
            ("--smallest-face", "0"),
            2,
            "--smallest-face 0: 0 is not in the set of int in",
        ),
        ("odd/two_faces_same_size.mp4", ("--detect-every", "0"), 2, "[1, 10000] ([faces] detect_every)"),
        ("odd/audioonly_aac.m4a", (), 1, "no_stream: the file has no video stream"),
    ],
)
def test_what_cannot_be_drawn_says_why(media, tmp_path, capsys, clip, options, code, words):
    assert draw(media / clip, tmp_path / "sheet.png", *options) == code
    assert words in capsys.readouterr().err
    assert not (tmp_path / "sheet.png").exists()
