"""The sentences about failed tasks."""

import errno
import os
import shutil
import tempfile
from pathlib import Path

import pytest
import torch

from pipeline.runs.outcome.describing import describe_failure
from pipeline.training.launcher import TrainingProcessError

FOLDERS = {"[store] root": Path("data/store"), "[run] root": Path("runs")}


def raised_from(error, cause):
    try:
        raise error from cause
    except type(error) as found:
        return found


@pytest.mark.parametrize(
    ("error", "network", "text"),
    [
        (ValueError("epochs = 0"), "", "epochs = 0"),
        (KeyboardInterrupt(), "", "KeyboardInterrupt"),
        (
            MemoryError(),
            "",
            "out of memory (MemoryError); set [embeddings] batch_size = 8 or lower, or lower [run] threads, "
            "and give the same command again",
        ),
        (
            torch.OutOfMemoryError("CUDA out of memory."),
            "vnet",
            "out of memory (CUDA out of memory.); close other programs; if that is not enough, lower [run] threads or "
            "[vnet] batch_size (which makes another training), and give the same command again",
        ),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), "", "out of memory ([Errno 12] Cannot allocate memory); set"),
        (TrainingProcessError("anet in 2 processes ended with 1: MemoryError: "), "anet", "out of memory (anet in 2"),
        (RuntimeError("of memory nothing is said"), "", "of memory nothing is said"),
    ],
)
def test_a_failure_says_what_to_do_next(error, network, text):
    assert describe_failure(error, FOLDERS, network=network).startswith(text)


def test_torchs_own_words_for_no_memory_are_known():
    with pytest.raises(RuntimeError) as caught:
        torch.empty(1 << 55, dtype=torch.uint8)
    text = describe_failure(caught.value, FOLDERS, network="joint")
    assert text.startswith("out of memory (DefaultCPUAllocator: ")
    assert "[joint] batch_size" in text


@pytest.mark.parametrize(
    ("path", "setting"),
    [
        ("runs/checkpoints/x/best.pt", "[run] root = runs"),
        (str(Path("runs/ledger.csv").absolute()), "[run] root = runs"),
        ("data/store/stft/1/2.h5", "[store] root = data/store"),
        ("runs2/x", str(Path("runs2").absolute())),
        ("/nowhere/at/all/x", "/nowhere/at/all"),
        ("/temporary/valar-1/x", "TMPDIR = /temporary"),
    ],
)
def test_a_full_disk_is_named_by_the_setting_that_chose_it(monkeypatch, path, setting):
    monkeypatch.setattr(tempfile, "tempdir", "/temporary")
    full = OSError(errno.ENOSPC, "No space left on device, 7 bytes needed", path)
    error = raised_from(RuntimeError("inline_container"), full)
    start, _, rest = describe_failure(error, FOLDERS).partition(" is full, ")
    assert start == f"{path} cannot be written (No space left on device, 7 bytes needed): the disk of {setting}"
    number, _, rest = rest.partition(" bytes are free; ")
    assert 0 <= int(number.replace(",", "")) <= shutil.disk_usage("/").total
    assert rest == "make room there or give another place, and give the same command again"


def test_a_full_disk_without_a_name_is_that_with_the_least_room(monkeypatch):
    sizes = {str(Path("data/store").absolute()): 5, str(Path("runs").absolute()): 10}
    monkeypatch.setattr(os, "statvfs", lambda place: os.statvfs_result((1, 1, 9, 9, sizes[str(place)], 9, 9, 9, 9, 9)))
    text = describe_failure(OSError(errno.ENOSPC, "No space left on device"), FOLDERS)
    assert text.startswith("No space left on device: the disk of [store] root = data/store is full, 5 bytes are free")


def test_quotas_limits_and_forbidden_folders_are_told_apart():
    quota = describe_failure(OSError(errno.EDQUOT, "Disk quota exceeded", "runs/x"), FOLDERS)
    assert "the disk of [run] root = runs has no room left for you" in quota
    long = describe_failure(OSError(errno.EFBIG, "File too large, 9 bytes needed", "runs/x"), FOLDERS)
    assert "a file there may not be as long; see `ulimit -f`" in long
    assert "[run] root = runs" in long
    forbidden = describe_failure(PermissionError(errno.EACCES, "Permission denied", "runs/x"), FOLDERS)
    assert forbidden == (
        "runs/x cannot be used (Permission denied); check who may read and write there, "
        "or give another [run] root (now runs)"
    )


def test_an_error_that_came_from_itself_ends():
    error = ValueError("x")
    error.__cause__ = error
    assert describe_failure(error, FOLDERS) == "x"
