"""A whole run whose stages and trainings are stubs: planning, fingerprints, tasks and `status` are the real ones.

A clip is a file of a few bytes. So a FullRun takes a second, and it can be seen what a change makes it do.
"""

import json
from pathlib import Path

from tests.pipeline.conftest import Workplace

SETTINGS = """
[dataset]
videos = videos
train = train.csv
validation = validation.csv
test = test.csv
[store]
root = store
shard_size = 4
[run]
root = runs
device = cpu
max_vanished = 1
[embeddings]
weights = random
[anet]
vgg_weights = random
epochs = 2
[vnet]
epochs = 2
[joint]
epochs = 2
"""
SPLITS = {"train": 4, "validation": 3, "test": 2}
HEADER = "link,start,end,video,utterance,arousal,valence,EmotionMaxVote"

#: Runs in the process of a FullRun, before it: leaves what `status` says in told.json, and puts the stubs in place.
STUBS = """
import json, sys, types
from pathlib import Path
import numpy as np
from pipeline.commands.status import find_status, read_status
from pipeline.runs.opening import open_run

told = find_status()
assert told == read_status(open_run()), "what is said without a look at each clip is what a look at each says"
Path("told.json").write_text(json.dumps([vars(stage) for stage in told.stages]))

from models.training.metrics import EpochMetrics
from pipeline.session import session
from pipeline.chain import STAGE_TITLES
from pipeline.runs.run import compute_file_digest
from pipeline.training import seed_trainings
from store import files
from store.schema import SCHEMAS
from store.shard.writer import ShardWriter

files.flush_file = files.flush_folder = lambda path: None  # a disk's flushing takes most of a stub's time


def work(self, stage, shard):
    run = self.run
    with self.progress.working(STAGE_TITLES[stage]):
        for file in run.find_work(shard)[stage]:
            provenance = {**run.describe(stage), "jpeg_quality": 95}
            path, columns = run.path(file, shard), SCHEMAS[file].rows
            with ShardWriter(
                path, stage=file, shard=shard, fingerprint=run.fingerprints[stage], provenance=provenance
            ) as writer:
                for member in run.plan.shards[shard].members:
                    digest = compute_file_digest(run.videos / member.path)
                    with writer.utterance(member.name, source_sha256=digest) as rows:
                        if SCHEMAS[file].bytes_of:
                            rows.append_bytes([b"x"])
                        elif columns:
                            rows.append(**{c.name: np.zeros((1, *c.shape), c.dtype) for c in columns})
                        else:
                            rows.length = 1
        for _ in run.plan.shards[shard].members:
            self.progress.tick(STAGE_TITLES[stage])


def train(request, on_epoch, *, open_file, device=None):
    folder, epochs = Path(request.folder), request.settings["epochs"]
    (folder / "best.pt").write_bytes(b"x")
    with open("starts.txt", "a") as file:
        print(request.network, request.start and Path(request.start).name, file=file)
    numbers = (1.0, 0.1, 0.1, 0.1, 0.2, True, 4, 3, 7.0, 1.0, 0.0)
    metrics = [EpochMetrics(request.network, epoch, epochs, *numbers) for epoch in range(epochs)]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(m.as_plain()) + "\\n" for m in metrics))
    for each in metrics:
        on_epoch(each)


def publish(experiment, seconds, folds=()):
    files.write_json(experiment.report_path, {"models": {}, "notes": []})


def stand_in(name, **contents):
    sys.modules[name] = types.ModuleType(name)
    vars(sys.modules[name]).update(contents)


stand_in("pipeline.report.publish", publish=publish)
stand_in("pipeline.stages.ready", check_ready=lambda *run, **how: None)
stand_in(
    "pipeline.stages.device",
    check_devices=lambda *run, **how: None,
    find_device=lambda *run: "cpu",
    describe_idle_precision=lambda *run: "",
)
session.Session.work = work
seed_trainings.train = train
"""


def write_stub_data(folder: Path) -> "StubPlace":
    """Write the clips `<split>/1.mp4` and so on, each of other bytes, the CSV files and the settings."""
    place = StubPlace(folder)
    for split, count in SPLITS.items():
        for number in range(1, count + 1):
            place.write_clip(f"{split}/{number}.mp4")
        rows = [place.row(f"{split}/{number}.mp4", number / 10) for number in range(1, count + 1)]
        place.write_rows(split, rows)
    (folder / "mine.cfg").write_text(SETTINGS, encoding="utf-8")
    return place


class StubPlace(Workplace):
    """A workplace of stub clips."""

    def write_clip(self, name: str, content: str = "") -> Path:
        """Write a clip below `videos`; it holds its own name where no content is given."""
        path = self.folder / "videos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content or name, encoding="utf-8")
        return path

    @staticmethod
    def row(name: str, arousal: float = 0.5) -> str:
        """Give a clip's row."""
        video, utterance = name.split("/")
        return f"http://{video},,,{video},{utterance},{arousal},0.25,1"

    def rows(self, split: str) -> list[str]:
        """Read a split's rows."""
        return (self.folder / f"{split}.csv").read_text(encoding="utf-8").splitlines()[1:]

    def write_rows(self, split: str, rows: list[str]) -> None:
        """Write a split's rows."""
        (self.folder / f"{split}.csv").write_text("\n".join([HEADER, *rows]) + "\n", encoding="utf-8")

    def read_starts(self) -> dict[str, str]:
        """Read which folder of checkpoints each training since the last call went on from, "None" for none."""
        path = self.folder / "starts.txt"
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        path.unlink(missing_ok=True)
        return dict(line.split() for line in lines)

    def run_stubs(self, code: str = "") -> list[dict]:
        """Do a FullRun with stubs, after further code; give what `status` had said just before."""
        ended = self.run(code=code + STUBS)
        assert ended.returncode == 0, ended.stderr
        return json.loads((self.folder / "told.json").read_text(encoding="utf-8"))
