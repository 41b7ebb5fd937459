"""A finished run on stub clips, made in seconds: files of a few bytes, and rows written by the store's own writer."""

import hashlib
import io
import os
import wave
from pathlib import Path

import numpy as np

from store import files
from store.records.plans import Member
from store.schema import SCHEMAS
from store.shard.writer import ShardWriter, UtteranceRows

CLIPS_A_VIDEO = 10
#: Rows of each clip in each stage. No clip is real, so that only the cost of the number of clips is measured.
_ROWS = 3

_SETTINGS = """
[dataset]
videos = videos
train = train.csv
validation = validation.csv
test = test.csv
[store]
root = store
shard_size = {shard_size}
[run]
root = runs
pages = false
device = cpu
[faces]
crops = jpeg
[embeddings]
weights = random
[anet]
vgg_weights = random
"""


def write_stub_data(folder: Path, num_clips: int, shard_size: int) -> None:
    """Write the clips, the CSV files of three splits, and the settings `mine.cfg`."""
    splits: dict[str, list[str]] = {"train": [], "validation": [], "test": []}
    for number in range(num_clips):
        video = number // CLIPS_A_VIDEO
        name = f"{video:08x}d"
        path = folder / "videos" / name / f"utterance_{number % CLIPS_A_VIDEO}.mp4"
        if number % CLIPS_A_VIDEO == 0:
            path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(f"stub {number}".encode())
        split = {8: "validation", 9: "test"}.get(video % 10, "train")
        splits[split].append(f",,,{name},{path.name},{number % 7 / 10},{number % 5 / 10},0")
    for split, rows in splits.items():
        lines = ["link,start,end,video,utterance,arousal,valence,EmotionMaxVote", *rows]
        (folder / f"{split}.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (folder / "mine.cfg").write_text(_SETTINGS.format(shard_size=shard_size), encoding="utf-8")


def finish_stub_run(folder: Path) -> None:
    """Write all features, and the marks of finished trainings and a report, as a FullRun does.

    Call it in a separate process: settings are read only once.
    """
    os.chdir(folder)
    os.environ["LUIGI_CONFIG_PATH"] = "mine.cfg"
    from pipeline.runs.beginning import begin
    from pipeline.runs.opening import open_run
    from pipeline.runs.outcome.ledger import write_ledger
    from pipeline.training.experiment import read_experiment

    run = begin(open_run())
    template = _Rows()
    # Flushing to the disk is not measured, and would take most of the time here.
    files.flush_file = files.flush_folder = lambda path: None  # type: ignore[assignment]
    for shard, plan in run.plan.shards.items():
        for stage in ("wav", "stft", "frames", "faces", "crops_jpeg", "embeddings"):
            path = run.path(stage, shard)
            origin = {"crops_jpeg": "embeddings"}.get(stage, stage)
            provenance = {**run.describe(origin), **({"jpeg_quality": 95} if stage == "crops_jpeg" else {})}
            with ShardWriter(
                path, stage=stage, shard=shard, fingerprint=run.fingerprints[stage], provenance=provenance
            ) as writer:
                for member in plan.members:
                    with writer.utterance(member.name, source_sha256=f"{member.size:064x}") as rows:
                        template.add(stage, rows, member, path)
    experiment = read_experiment(run)
    write_ledger(experiment.data.ledger.values(), run.folder / "ledger.csv")
    for trainings in experiment.trainings:
        for network, fingerprint in trainings.fingerprints.items():
            files.write_json(trainings.done_path(network), {"network": network, "fingerprint": fingerprint})
    files.write_json(experiment.report_path, {"notes": [], "models": {}})
    experiment.link_report()


class _Rows:
    """The rows of a stub clip; they are the same for all."""

    def __init__(self) -> None:
        random = np.random.default_rng(0)
        self._jpeg = _make_jpeg(random.integers(0, 256, (112, 96, 3)).astype(np.uint8))
        self._wav = _make_wav(random.integers(-9999, 9999, 160 * _ROWS).astype("<i2"))
        self._arrays = {
            stage: {
                column.name: np.full((_ROWS, *column.shape), 0.5, column.dtype)
                for column in SCHEMAS[stage].rows
                if not SCHEMAS[stage].bytes_of
            }
            for stage in SCHEMAS
        }
        self._digest = hashlib.sha256(self._wav).hexdigest()

    def add(self, stage: str, rows: UtteranceRows, member: Member, path: Path) -> None:
        """Add one stub's rows to a stage's file."""
        if stage == "wav":
            rows.length = 160 * _ROWS
            rows.facts = {"wav_sha256": self._digest}
            target = path.with_suffix("") / f"{member.name}.wav"
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(self._wav)
        elif SCHEMAS[stage].bytes_of:
            rows.append_bytes([self._jpeg] * _ROWS)
        else:
            rows.append(**self._arrays[stage])
        if stage == "frames":
            rows.facts = {"width": 640, "height": 360, "rotation": 0, "num_frames_listed": _ROWS, "codec": "h264"}
        if stage == "faces":
            rows.facts = {"num_frames": _ROWS, "num_faces": _ROWS, "num_tracks": 1, "num_cuts": 0}


def _make_jpeg(picture: np.ndarray) -> bytes:
    from pipeline.media.jpeg import encode_jpeg

    return encode_jpeg(picture, quality=50)


def _make_wav(samples: np.ndarray) -> bytes:
    data = io.BytesIO()
    with wave.open(data, "wb") as file:
        file.setparams((1, 2, 16000, len(samples), "NONE", ""))
        file.writeframes(samples.tobytes())
    return data.getvalue()
