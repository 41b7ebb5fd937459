"""Writing a shard: whole or not at all, never twice, and never with rows of another shape."""

import subprocess
import sys

import numpy as np
import pytest

from store.errors import ShardError
from store.shard.reader import Shard
from store.shard.writer import ShardWriter
from tests.store.shard.test_reader import write_stft


def test_nothing_is_left_of_a_shard_that_failed(tmp_path):
    writer = ShardWriter(tmp_path / "51.h5", stage="stft", shard="51", fingerprint="f1", provenance={})

    def fail():
        with writer, writer.utterance("v/a") as rows:
            rows.append(stft=np.zeros((5, 257, 2), "f4"))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_left_of_a_shard_whose_process_was_killed(tmp_path):
    code = (
        "import os, signal, numpy as np; from pathlib import Path; from store.shard.writer import ShardWriter\n"
        f"path = Path({str(tmp_path)!r}) / '51.h5'\n"
        "with ShardWriter(path, stage='stft', shard='s', fingerprint='f', provenance={}) as w:\n"
        "    with w.utterance('v/a') as rows:\n"
        "        rows.append(stft=np.zeros((5, 257, 2), 'f4'))\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -9
    assert list(tmp_path.iterdir()) == []


def test_a_shard_is_never_written_twice(tmp_path):
    path = write_stft(tmp_path / "51.h5", {"v/a": 1})
    with pytest.raises(ShardError, match=r"51\.h5 exists and is never changed"):
        write_stft(path, {"v/a": 2})


def test_wrong_rows_are_refused(tmp_path):
    with (
        ShardWriter(tmp_path / "s.h5", stage="faces", shard="s", fingerprint="f", provenance={}) as writer,
        writer.utterance("v/a") as rows,
    ):
        with pytest.raises(ValueError, match=r"the rows given are \['box'\]"):
            rows.append(box=np.zeros((1, 4), "f4"))
        good = {
            "frame_index": np.zeros(2, "i4"),
            "time": np.zeros(2),
            "box": np.zeros((2, 4), "f4"),
            "landmarks": np.zeros((2, 5, 2), "f4"),
            "score": np.zeros(2, "f4"),
        }
        with pytest.raises(ValueError, match=r"rows of box have shape \(5,\), they must have \(4,\)"):
            rows.append(**{**good, "box": np.zeros((2, 5), "f4")})
        with pytest.raises(ValueError, match=r"different numbers of rows: \[2, 3\]"):
            rows.append(**{**good, "score": np.zeros(3, "f4")})
        with pytest.raises(ValueError, match="status = 'fine' must be one of ok, missing_file"):
            rows.set_status("fine", "")


def test_a_shard_without_utterances_and_one_with_rows_of_none_can_be_read(tmp_path):
    with ShardWriter(tmp_path / "51.h5", stage="stft", shard="51", fingerprint="f1", provenance={}):
        pass
    assert Shard(tmp_path / "51.h5").names == []


def test_a_name_that_no_store_may_have_is_not_written(tmp_path):
    writer = ShardWriter(tmp_path / "51.h5", stage="stft", shard="51", fingerprint="f1", provenance={})
    with pytest.raises(ValueError, match="is not a valid name of an utterance"), writer, writer.utterance("../../x"):
        pass
    assert list(tmp_path.iterdir()) == []
