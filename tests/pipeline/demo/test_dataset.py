import csv
import hashlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from pipeline.dataset.clip_files import find_clips
from pipeline.dataset.utterances import read_dataset
from pipeline.demo import dataset as demo
from pipeline.demo.dataset import CSV_NAMES, SIZES, DemoError, SplitSize, main, plan_clips, write_demo

SMALL = {"train": SplitSize(1, 1, 2), "validation": SplitSize(1, 1, 1), "test": SplitSize(1, 1, 1)}


def digests(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demo")
    assert write_demo(folder, seed=3, sizes=SMALL, threads=2) == 4
    return folder


def test_sizes_are_those_asked_for():
    clips = plan_clips(0)
    count = {split: sum(clip.split == split for clip in clips) for split in SIZES}
    assert count["train"] >= 60
    assert count["validation"] >= 100
    assert count["test"] == 20


def test_no_speaker_is_in_two_splits():
    clips = plan_clips(0)
    speakers = {split: {clip.speaker for clip in clips if clip.split == split} for split in SIZES}
    assert len(set().union(*speakers.values())) == sum(map(len, speakers.values())) >= 10


def test_videos_hold_several_utterances_of_one_speaker():
    by_video: dict[str, list] = {}
    for clip in plan_clips(0):
        by_video.setdefault(clip.video, []).append(clip)
    assert len(by_video) > 20
    for clips in by_video.values():
        assert len({clip.speaker for clip in clips}) == len({clip.split for clip in clips}) == 1
        assert [clip.utterance for clip in clips] == list(range(1, len(clips) + 1))
        assert len(clips) > 1


def test_labels_are_what_is_meant_with_an_error():
    clips = plan_clips(0)
    arousal = np.array([(clip.arousal, clip.labels[0]) for clip in clips])
    valence = np.array([(clip.valence, clip.labels[1]) for clip in clips])
    assert arousal.min() >= 0
    assert arousal.max() <= 1
    assert np.abs(valence).max() <= 1
    for meant, rated in (arousal.T, valence.T):
        assert np.std(rated - meant) == pytest.approx(0.05, abs=0.01)
    assert abs(np.corrcoef(arousal[:, 0], valence[:, 0])[0, 1]) < 0.2


def test_plan_depends_on_the_seed_alone():
    assert plan_clips(1) == plan_clips(1)
    assert plan_clips(1) != plan_clips(2)


def test_layout_and_headers_are_the_official_ones(made):
    rows = {
        split: list(csv.reader((made / name).read_text(encoding="utf-8").splitlines()))
        for split, name in CSV_NAMES.items()
    }
    official = ["link", "start", "end", "video", "utterance", "arousal", "valence", "EmotionMaxVote"]
    assert rows["train"][0] == rows["validation"][0] == official
    assert rows["test"][0] == official[:5]
    seen = 0
    for table in rows.values():
        for row in table[1:]:
            assert len(row) == len(table[0])
            assert (made / "videos" / row[3] / row[4]).is_file()
            seen += 1
    assert seen == 4


def test_the_pipeline_reads_the_csv_files_without_a_warning(made):
    data = read_dataset({split: made / name for split, name in CSV_NAMES.items()})
    assert data.warnings == ()
    assert [u.name for u in data.utterances if u.split == "train"] == [
        "speaker00_1/utterance_1",
        "speaker00_1/utterance_2",
    ]
    assert [u.arousal for u in data.utterances if u.split == "test"] == [None]
    assert len(find_clips(made / "videos", data.utterances).files) == 4


def test_clips_have_sound_and_pictures_of_two_to_three_seconds(made, tmp_path):
    from pipeline import media

    for path in sorted((made / "videos").rglob("*.mp4")):
        table = media.scan_frames(path)
        assert (table.width, table.height, table.frame_rate) == (256, 192, pytest.approx(15, abs=0.01))
        assert 2 <= len(table.times_seconds) / 15 <= 3
        assert 2 <= media.extract_wav(path, tmp_path / "sound.wav").num_samples / 16000 <= 3


def test_a_finished_folder_is_left_alone(made):
    before = {path: path.stat().st_mtime_ns for path in made.rglob("*")}
    assert write_demo(made, seed=3, sizes=SMALL) == 0
    assert {path: path.stat().st_mtime_ns for path in made.rglob("*")} == before


def test_an_unfinished_folder_is_completed_to_the_same_bytes(made):
    before = digests(made)
    (made / "videos" / "speaker00_1" / "utterance_2.mp4").unlink()
    (made / CSV_NAMES["train"]).unlink()
    assert write_demo(made, seed=3, sizes=SMALL) == 1
    assert digests(made) == before


def test_files_do_not_depend_on_the_number_of_threads(made, tmp_path):
    write_demo(tmp_path, seed=3, sizes=SMALL, threads=1)
    assert digests(tmp_path) == digests(made)


def test_another_seed_in_the_same_folder_is_refused(made):
    before = digests(made)
    with pytest.raises(
        DemoError, match=r"holds a demo with .*'seed': 3.*not the .*'seed': 4.*remove it or name another"
    ):
        write_demo(made, seed=4, sizes=SMALL)
    assert digests(made) == before


def test_command_makes_then_leaves_alone_then_refuses(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(demo, "write_demo", lambda folder, *, seed: write_demo(folder, seed=seed, sizes=SMALL))
    monkeypatch.setattr(demo, "plan_clips", lambda seed, sizes=SMALL: plan_clips(seed, sizes))
    folder = tmp_path / "new" / "demo"
    assert main([str(folder)]) == 0
    assert capsys.readouterr().out == f"{folder}: 4 clips made, 0 there already\n"
    assert main([str(folder), "--seed", "0"]) == 0
    assert capsys.readouterr().out == f"{folder}: 0 clips made, 4 there already\n"
    assert main([str(folder), "--seed", "1"]) == 1
    assert "'seed': 1" in capsys.readouterr().err


def test_command_refuses_a_seed_below_zero(tmp_path, capsys):
    with pytest.raises(SystemExit) as stopped:
        main([str(tmp_path / "demo"), "--seed", "-1"])
    assert stopped.value.code == 2
    assert "--seed is -1, it must be 0 or more" in capsys.readouterr().err
    assert not (tmp_path / "demo").exists()


def test_command_reports_a_folder_that_cannot_be_made(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert main([str(tmp_path / "file" / "demo")]) == 1
    assert str(tmp_path / "file" / "demo") in capsys.readouterr().err


def test_recognising_a_finished_folder_loads_no_heavy_library(made):
    code = (
        "import sys; from pathlib import Path; from pipeline.demo.dataset import *\n"
        "sizes = {'train': SplitSize(1, 1, 2), 'validation': SplitSize(1, 1, 1), 'test': SplitSize(1, 1, 1)}\n"
        f"assert write_demo(Path({str(made)!r}), seed=3, sizes=sizes) == 0\n"
        "print([name for name in ('cv2', 'av', 'scipy', 'skimage', 'torch') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
