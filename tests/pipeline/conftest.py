"""A small data set and the whole pipeline run on it as a user would."""

import csv
import hashlib
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from pipeline.demo.dataset import SplitSize, write_demo

ROOT = Path(__file__).resolve().parent.parent.parent
SIZES = {"train": SplitSize(2, 1, 2), "validation": SplitSize(1, 1, 3), "test": SplitSize(1, 1, 2)}

SETTINGS = """
[dataset]
videos = videos
train = omg_TrainVideos.csv
validation = omg_ValidationVideos.csv
test = omg_TestVideos_WithoutLabels.csv
[store]
root = store
shard_size = 4
[run]
root = runs
device = cpu
threads = 2
[embeddings]
weights = random
[anet]
vgg_weights = random
channel_scale = 0.015625
epochs = 2
[vnet]
epochs = 2
[joint]
epochs = 2
"""


@dataclass(frozen=True)
class Workplace:
    """A folder with a data set and settings, and luigi to be started in it."""

    folder: Path

    def run(self, *arguments, task="FullRun", code=None, **environment):
        """Run `luigi --module pipeline.tasks TASK`; with `code`, after that code in the same process."""
        start = f"{code or ''}\nimport sys, luigi.cmdline\nluigi.cmdline.luigi_run(sys.argv[1:])"
        command = [sys.executable, "-c", start, "--module", "pipeline.tasks", task, *arguments]
        return subprocess.run(
            command,
            cwd=self.folder,
            env={
                **os.environ,
                "PYTHONPATH": str(ROOT),
                "LUIGI_CONFIG_PATH": "mine.cfg",
                "COLUMNS": "200",
                **environment,
            },
            capture_output=True,
            text=True,
            check=False,
        )

    def command(self, *arguments):
        """Run `python -m pipeline ARGUMENTS`."""
        return self.python("-m", "pipeline", *arguments)

    def python(self, *arguments):
        """Run `python ARGUMENTS`."""
        return subprocess.run(
            [sys.executable, *arguments],
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": str(ROOT), "LUIGI_CONFIG_PATH": "mine.cfg"},
            capture_output=True,
            text=True,
            check=False,
        )

    def configure(self, text):
        """Append settings to the overlay; a later section replaces an earlier one's option."""
        path = self.folder / "mine.cfg"
        sections = {}
        for line in (path.read_text(encoding="utf-8") + text).splitlines():
            if line.startswith("["):
                section = sections.setdefault(line, {})
            elif "=" in line:
                section[line.partition("=")[0].strip()] = line
        path.write_text("\n".join(f"{name}\n" + "\n".join(lines.values()) for name, lines in sections.items()) + "\n")

    def digests(self, part):
        """Digest every file below a part of the folder, by its path; what begins with a dot is none of a store's."""
        return {
            str(path.relative_to(self.folder)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted((self.folder / part).rglob("*"))
            if path.is_file() and not path.name.startswith(".")
        }

    def ledger(self):
        """Give the ledger's rows by utterance."""
        with (self.folder / "runs" / "ledger.csv").open(encoding="utf-8", newline="") as file:
            return {row["utterance"]: row for row in csv.DictReader(file)}


@pytest.fixture(scope="session")
def small_data(tmp_path_factory):
    """Nine synthetic clips with their CSV files."""
    folder = tmp_path_factory.mktemp("data")
    assert write_demo(folder, sizes=SIZES) == 9
    return folder


def settle(data, folder):
    """Lay a copy of the data set and the settings into a folder; times are kept, so shards have the same names."""
    shutil.copytree(data, folder, dirs_exist_ok=True)
    (folder / "mine.cfg").write_text(SETTINGS, encoding="utf-8")
    return Workplace(folder)


@pytest.fixture
def workplace(small_data, tmp_path):
    """A fresh copy of the data set, nothing run yet."""
    return settle(small_data, tmp_path / "work")


@pytest.fixture(scope="session")
def first_run(small_data, tmp_path_factory):
    """A workplace in which FullRun has ended well, and how it ended. Not to be changed: see `finished`."""
    place = settle(small_data, tmp_path_factory.mktemp("finished") / "work")
    ended = place.run()
    assert ended.returncode == 0, ended.stderr
    return place, ended


@pytest.fixture
def finished(first_run, tmp_path):
    """A copy of a workplace in which FullRun has ended well, to go on from."""
    place, _ = first_run
    shutil.copytree(place.folder, tmp_path / "work", symlinks=True)
    return Workplace(tmp_path / "work")


@pytest.fixture(scope="session")
def stub_run(tmp_path_factory):
    """A workplace of stub clips in which FullRun has ended well. Not to be changed: see `stub_place`."""
    from tests.pipeline.stubs import write_stub_data

    place = write_stub_data(tmp_path_factory.mktemp("stubs"))
    told = place.run_stubs()
    assert [stage["waiting"] for stage in told] == [9] * 5 + [1] * 4
    return place


@pytest.fixture
def stub_place(stub_run, tmp_path):
    """A copy of it."""
    shutil.copytree(stub_run.folder, tmp_path / "work", symlinks=True)
    return type(stub_run)(tmp_path / "work")
