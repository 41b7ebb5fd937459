"""More shards than a process may have files open: every file is let go of when it has been read or mapped."""

import subprocess

import imageio_ffmpeg
import pytest

from tests.pipeline.conftest import SETTINGS, Workplace
from tests.pipeline.stubs import HEADER

#: Soft and hard, below what 60 shards' files would take if each stayed open.
FEW_FILES = "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (96, 96))"
SPLITS = {"Train": 50, "Validation": 10}


@pytest.fixture
def place(small_data, tmp_path):
    """A clip of ten frames under sixty names, and settings that give each a shard of its own."""
    clip = tmp_path / "clip.mp4"
    source = small_data / "videos" / "speaker00_1" / "utterance_1.mp4"
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", str(source), "-t", "0.4", str(clip)]
    subprocess.run(command, check=True)
    for split, count in SPLITS.items():
        (tmp_path / "videos" / split).mkdir(parents=True)
        rows = []
        for number in range(count):
            (tmp_path / "videos" / split / f"{number}.mp4").hardlink_to(clip)
            rows.append(f",,,{split},{number}.mp4,{number / 100},0.{number % 7},1")
        (tmp_path / f"omg_{split}Videos.csv").write_text("\n".join([HEADER, *rows]) + "\n", encoding="utf-8")
    settings = SETTINGS.replace("shard_size = 4", "shard_size = 1").replace("epochs = 2", "epochs = 1")
    settings = settings.replace("test = omg_TestVideos_WithoutLabels.csv\n", "test =\n")
    (tmp_path / "mine.cfg").write_text(
        settings.replace("root = runs\n", "root = runs\npages = false\n"), encoding="utf-8"
    )
    return Workplace(tmp_path)


@pytest.mark.slow
def test_sixty_shards_are_computed_and_trained_on_with_ninety_six_files(place):
    ended = place.run(code=FEW_FILES)
    assert ended.returncode == 0, ended.stderr
    assert len(list((place.folder / "store" / "stft").glob("*/*.h5"))) == 60
    assert {(row["sound"], row["picture"]) for row in place.ledger().values()} == {("ok", "ok")}
    assert len(list((place.folder / "runs" / "checkpoints").glob("*/training.json"))) == 3
