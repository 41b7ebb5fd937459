"""The readers of files that others have made: given changed ones, each ends as it says, or with its own error."""

import contextlib
import io
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch
from hypothesis import strategies as st

from models.inputs.plan import InputPlan
from models.networks.vnet import build_vnet
from models.training.checkpoints import Checkpoint, CheckpointError, load_network, save_checkpoint
from models.training.state import load_state
from pipeline.__main__ import main as pipeline_main
from pipeline.dataset.overrides import read_overrides
from pipeline.dataset.utterances import DatasetError, read_dataset
from pipeline.errors import UserError
from pipeline.settings.files import read_settings
from pipeline.training.records.metrics_lines import read_metrics
from store.__main__ import main as store_main
from store.errors import StoreError
from store.pages_mark import PAGES_MARK, write_mark
from store.records.erased import erased_path, read_erased
from store.shard.reader import Shard
from store.shard.sidecar import compute_sidecar, read_sidecar, write_sidecar
from store.tables import counts_path, read_counts, read_tables, remember, tables_path
from tests.fuzz.changes import changed_bytes, changed_json, changed_values
from tests.models.training.test_constant import history
from tests.pipeline.report.reports import write_made_report
from tests.store.stores import FINGERPRINTS, make_store

LABELS = (
    b"link,start,end,video,utterance,arousal,valence,EmotionMaxVote\n"
    b"http://a,1,2.5,v_1,utterance_1.mp4,0.5,-0.25,3\n"
    b'http://a,2.5,4,v_1,utterance_2.mp4,0.1,0.2,"1"\n'
    b"http://b,,,w,utterance_1.mp4,0.9,0.75,2\n"
)
PREDICTIONS = (
    b"video,utterance,arousal,valence\nv_1,utterance_1.mp4,0.4,-0.1\nv_1,utterance_2.mp4,0.2,0.1\n"
    b"w,utterance_1.mp4,0.8,0.5\n"
)
OVERRIDES = b"video,utterance,speaker,audio_stream,rotation\nv_1,utterance_1,10 20 @1.5,1,90\nw,utterance_1,@2,,\n"
OVERLAY = b"[dataset]\nvideos = videos\n[run]\nseed = 3\n# a comment\n[faces]\ncrops = jpeg\n[vnet]\nepochs = 2\n"
DETAILS = "predictions/vnet-validation.detail.csv"
NAMES = ("v_1/utterance_1", "v_1/utterance_2", "w/utterance_1")


@dataclass(frozen=True)
class Target:
    """A reader.

    Args:
        changes: What it may be given.
        read: Called with that and an empty folder; raises where anything but a documented error comes of it.
        cost: How long one reading takes, in some milliseconds.
    """

    changes: st.SearchStrategy[Any]
    read: Callable[[Any, Path], None]
    cost: int = 1


def command(main, *words):
    """Run a command as a user does: it ends with a code of its own, and prints what any terminal can show."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main([str(word) for word in words])
    printed = out.getvalue() + err.getvalue()
    printed.encode()
    assert code in (0, 1, 2), f"{words} ended with {code}"
    assert code != 2 or err.getvalue().strip(), f"{words} failed without a word"
    assert "\x1b" not in printed, f"{words} steers the terminal"
    assert "Traceback" not in printed, printed


def read_labels(data, folder):
    path = folder / "labels.csv"
    path.write_bytes(data)
    with contextlib.suppress(DatasetError):
        dataset = read_dataset({"train": path})
        _ = dataset.grouping
    with contextlib.suppress(DatasetError):
        read_dataset({"train": path}, group_column="link", label_range=(1.0, 9.0))


def read_overrides_file(data, folder):
    path = folder / "overrides.csv"
    path.write_bytes(data)
    with contextlib.suppress(UserError):
        read_overrides(path, NAMES)


def read_overlay(data, folder):
    path = folder / "mine.cfg"
    path.write_bytes(data)
    with contextlib.suppress(UserError):
        read_settings(path)


def evaluate(data, folder):
    truth, predictions = data
    (folder / "truth.csv").write_bytes(truth)
    (folder / "predictions.csv").write_bytes(predictions)
    paths = folder / "truth.csv", folder / "predictions.csv"
    command(pipeline_main, "evaluate", *paths)
    command(pipeline_main, "evaluate", *paths, "--json")


def use_shard(path):
    """Take all that a shard has."""
    for mapped in (True, False):
        with contextlib.suppress(StoreError):
            shard = Shard(path, mapped=mapped)
            for name in shard.names:
                for fact in shard.fact_names:
                    shard.fact(name, fact)
                for column in shard.schema.rows:
                    _ = np.array(shard.rows(name, column.name))


class StoreTargets:
    """The readers of a store's files.

    Args:
        folder: For a good store.
    """

    def __init__(self, folder):
        self.root = folder / "store"
        make_store(self.root)
        self.shards = sorted(str(path.relative_to(self.root)) for path in self.root.rglob("*.h5"))
        store_main(["ls", str(self.root)])  # leaves what it remembers
        read_erased(self.root).with_names(["x/y"]).write(self.root)
        (self.root / "pages").mkdir()
        write_mark(self.root / "pages", "runs-1")
        for stage in ("embeddings", "stft"):
            remember(self.root, stage, FINGERPRINTS[stage], with_tables=True)
        plan, listing = (next((self.root / part).glob("*.json")) for part in ("shards", "roots"))
        remembered = [
            counts_path(self.root, "stft", FINGERPRINTS["stft"]),
            tables_path(self.root, "stft", FINGERPRINTS["stft"]),
        ]
        self.jsons = {
            "plan": plan,
            "listing": listing,
            "erased": erased_path(self.root),
            "pages' mark": self.root / "pages" / PAGES_MARK,
            "remembered counts": remembered[0],
            "remembered tables": remembered[1],
        }

    def copy(self, folder):
        """Give a store of its own."""
        return Path(shutil.copytree(self.root, folder / "store"))

    def targets(self):
        """Give them by name."""
        found = {}
        shard = next(name for name in self.shards if name.startswith("embeddings"))
        good = (self.root / shard).read_bytes()
        found["shard"] = Target(changed_bytes(good), self._read_shard(shard), 8)
        found["sealed shard"] = Target(_hostile_columns(), self._read_sealed(shard), 8)
        sums = f"{shard}.sums"
        found["sidecar"] = Target(changed_json((self.root / sums).read_bytes()), self._read_json(sums), 8)
        for title, path in self.jsons.items():
            found[title] = Target(changed_json(path.read_bytes()), self._read_json(path.relative_to(self.root)), 8)
        return found

    def _read_shard(self, name):
        def read(data, folder):
            root = self.copy(folder)
            (root / name).write_bytes(data)
            use_shard(root / name)
            self._use(root)

        return read

    def _read_sealed(self, name):
        def read(changes, folder):
            root = self.copy(folder)
            path = root / name
            places = read_sidecar(path).places
            with h5py.File(path, "r+") as file:
                for change in changes:
                    _apply(file, *change)
            write_sidecar(path, compute_sidecar(path, places))
            use_shard(path)
            self._use(root)

        return read

    def _read_json(self, name):
        def read(data, folder):
            root = self.copy(folder)
            (root / name).write_bytes(data)
            self._use(root)

        return read

    @staticmethod
    def _use(root):
        for words in (("ls",), ("verify",), ("why", "v/a"), ("show", "v/a"), ("gc", "--dry-run")):
            command(store_main, words[0], root, *words[1:])
        command(store_main, "erase", root, "v/a", "--dry-run")
        for stage in ("embeddings", "stft"):
            read_counts(root, stage, FINGERPRINTS[stage])
            read_tables(root, stage, FINGERPRINTS[stage])


#: Of a sealed shard: where something is put, and what.
_PLACES = [
    "id",
    "offset",
    "length",
    "status",
    "message",
    "source_sha256",
    "embedding",
    "/",
    "format_version",
    "stage",
    "shard",
    "fingerprint",
    "provenance",
    "format",
]
_ARRAYS = [
    np.array([b"v/a", b"../x"]),
    np.array([b"", b"\xff"]),
    np.array([b"ok", b"splendid"]),
    np.array([1, -1]),
    np.array([0, 1 << 62]),
    np.array([[1.0, 2.0]]),
    np.array([0.5, np.nan], np.float32),
    np.zeros((5, 512), np.float32),
    np.zeros((0, 512), np.float32),
    np.array(7),
    np.array(b"x" * 60_000),
    np.array(b'{"settings": []}'),
    np.array(b"[" * 5000),
    np.array(1 << 40),
]


def _hostile_columns():
    return st.lists(
        st.tuples(st.sampled_from(_PLACES), st.integers(0, len(_ARRAYS) - 1), st.booleans()), min_size=1, max_size=4
    )


def _apply(file, place, number, is_removed):
    """Put an array in a place of a shard, or take away what is there."""
    value = _ARRAYS[number]
    if place in file.attrs:
        del file.attrs[place]
        if not is_removed:
            file.attrs.create(place, value)
        return
    path = place if place == "embedding" else f"utterances/{place}" if place != "/" else "utterances"
    if path in file:
        del file[path]
    if not is_removed:
        file.create_dataset(path, data=value)


class CheckpointTargets:
    """The readers of checkpoints.

    Args:
        folder: For good ones.
    """

    def __init__(self, folder):
        network = build_vnet(None, seed=0)
        checkpoint = Checkpoint(
            kind="vnet",
            architecture={"backbone": "frozen"},
            inputs=InputPlan(num_maps=0, num_frames=16),
            settings={"epochs": 3, "learning_rate_steps": (1, 2)},
            epoch=2,
            scores={"total_ccc": 0.5, "ccc_arousal": None},
            weights={"sphereface20": "random"},
            provenance={"seed": 1, "stages": {"faces": ["abc"]}},
            state=network.state_dict(),
        )
        self.path = folder / "good.pt"
        save_checkpoint(self.path, checkpoint)
        content = torch.load(self.path, weights_only=True)
        self.state = content.pop("state")
        self.plain = json.loads(json.dumps(content))
        # The tensors are 17 MB of the file's bytes; what is changed lies before and behind them.
        archive = self.path.read_bytes()
        self.head, self.rest, self.tail = archive[:20_000], archive[20_000:-20_000], archive[-20_000:]

    def targets(self):
        """Give them by name."""
        ends = st.tuples(
            st.one_of(st.just(self.head), changed_bytes(self.head)),
            st.one_of(st.just(self.tail), changed_bytes(self.tail)),
        )
        return {
            "checkpoint": Target(ends, self._read_bytes, 4),
            "checkpoint's values": Target(changed_values(self.plain), self._read_values, 4),
        }

    def _read_bytes(self, data, folder):
        path = folder / "best.pt"
        path.write_bytes(data[0] + self.rest + data[1])
        self._load(path)

    def _read_values(self, content, folder):
        path = folder / "best.pt"
        if isinstance(content, dict):
            content = {**content, "state": self.state}
        torch.save(content, path)
        self._load(path)
        torch.save(content, folder / "state.pt")
        load_state(folder)

    @staticmethod
    def _load(path):
        with contextlib.suppress(CheckpointError):
            load_network(path)


class ReportTargets:
    """The readers of a report, and of what a folder of runs keeps beside.

    Args:
        folder: For a good one.
    """

    def __init__(self, folder):
        self.root = folder / "report"
        write_made_report(self.root)
        self.details = (self.root / "predictions/vnet-validation.detail.csv").read_bytes()

    def targets(self):
        """Give them by name."""
        content = (self.root / "report.json").read_bytes()
        lines = [epoch.as_plain() for epoch in history(0.1, 0.2)]
        return {
            "report": Target(changed_json(content), self._read("report.json"), 8),
            "report's rows": Target(changed_bytes(self.details), self._read(DETAILS), 8),
            "metrics": Target(changed_json(json.dumps(lines[0]).encode()), self._read_metrics),
        }

    def _read(self, name):
        def read(data, folder):
            other = Path(shutil.copytree(self.root, folder / "other"))
            (other / name).write_bytes(data)
            command(pipeline_main, "report", other)
            command(pipeline_main, "report", other, "--json")
            command(pipeline_main, "report", "--compare", self.root, other)

        return read

    @staticmethod
    def _read_metrics(data, folder):
        (folder / "metrics.jsonl").write_bytes(data)
        read_metrics(folder)


def make_targets(folder):
    """Give all targets by name.

    Args:
        folder: For the good files.
    """
    texts = (
        st.one_of(st.just(LABELS), changed_bytes(LABELS)),
        st.one_of(st.just(PREDICTIONS), changed_bytes(PREDICTIONS)),
    )
    return {
        "labels": Target(changed_bytes(LABELS), read_labels),
        "overrides": Target(changed_bytes(OVERRIDES), read_overrides_file),
        "overlay": Target(changed_bytes(OVERLAY), read_overlay),
        "evaluate": Target(st.tuples(*texts), evaluate, 2),
        **StoreTargets(folder).targets(),
        **ReportTargets(folder).targets(),
        **CheckpointTargets(folder).targets(),
    }
