"""Ways to use `python -m store`: cut off by `head`, without the right to write, tried out first, asked."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from store import FeatureStore
from tests.store.hostile.attacks import run, snapshot

ROOT = Path(__file__).resolve().parents[3]


def test_reading_what_is_cut_off_by_head_is_no_fault(store):
    code = "import sys; from store.__main__ import main; sys.exit(main(sys.argv[1:]))"
    shell = f"{sys.executable} -c '{code}' ls {store[0]} | true; exit ${{PIPESTATUS[0]}}"
    ended = subprocess.run(["bash", "-c", shell], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")


def as_another(store, *arguments):
    """Run a command without root's right to pass by permissions."""

    def drop():
        if os.getuid() == 0:
            import ctypes

            for capability in (1, 2):  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
                ctypes.CDLL(None).prctl(24, capability, 0, 0, 0)

    return subprocess.run(
        [sys.executable, "-m", "store", arguments[0], str(store), *arguments[1:]],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=drop,
    )


@pytest.fixture
def read_only(store):
    folders = [store[0], *(path for path in store[0].rglob("*") if path.is_dir())]
    for folder in folders:
        folder.chmod(0o555)
    yield store[0]
    for folder in folders:
        folder.chmod(0o755)


def test_a_store_that_may_only_be_read_is_read(read_only):
    for arguments in (
        ("ls",),
        ("verify",),
        ("gc", "--dry-run"),
        ("compact", "--dry-run"),
        ("erase", "v/a", "--dry-run"),
    ):
        ended = as_another(read_only, *arguments)
        assert (ended.returncode, ended.stderr) == (0, ""), arguments
    for arguments in (("gc",), ("compact",), ("erase", "v/a")):
        ended = as_another(read_only, *arguments)
        assert ended.returncode == 2
        assert ended.stderr.startswith(f"{read_only} cannot be changed: {read_only}/.lock cannot be opened for writing")
        assert ended.stderr.count("\n") == 1


def test_erase_can_be_tried_out_first(store, capsys):
    before = snapshot(store[0])
    code, out, _ = run(capsys, "erase", store[0], "v", "--dry-run")
    assert code == 0
    assert out.startswith("would erase 2 utterances from 1 shard; later runs refuse them\n")
    assert snapshot(store[0]) == before


@pytest.mark.parametrize(("answer", "left"), [("y", 2), ("n", 3), ("", 3)])
def test_erase_asks_on_a_terminal(store, answer, left):
    import pty

    ours, theirs = pty.openpty()
    os.write(ours, f"{answer}\n".encode())
    with os.fdopen(theirs) as terminal:
        ended = subprocess.run(
            [sys.executable, "-m", "store", "erase", str(store[0]), "v/a"],
            cwd=ROOT,
            stdin=terminal,
            capture_output=True,
            text=True,
            check=False,
        )
    os.close(ours)
    assert ended.returncode == 0
    assert "erase them for good? [y/N]" in ended.stderr
    assert len(FeatureStore(store[0])) == left
