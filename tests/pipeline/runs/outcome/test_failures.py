"""A failure is kept until its work is done, while other hosts write, end or begin."""

import subprocess
import sys

from pipeline.runs.outcome.failures import clear_failures, forget_failure, read_failures, write_failure
from tests.pipeline.conftest import ROOT

#: A host on which many tasks fail, and some of them succeed at a later try.
HOST = """
import sys
from pathlib import Path
from pipeline.runs.outcome.failures import forget_failure, write_failure
folder, host = Path(sys.argv[1]), sys.argv[2]
sys.stdout.write("ready\\n"); sys.stdout.flush(); sys.stdin.readline()
for number in range(40):
    write_failure(folder, f"faces of {host} {number}", f"AlignFaces of shard {number}: no memory", host=host)
    if number % 4 == 0:
        forget_failure(folder, f"faces of {host} {number}")
"""


def test_two_hosts_that_write_at_once_lose_nothing(tmp_path):
    hosts = [
        subprocess.Popen(
            [sys.executable, "-c", HOST, str(tmp_path), name],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for name in ("node1", "node2")
    ]
    for host in hosts:
        assert host.stdout.readline() == "ready\n"
    for host in hosts:
        host.stdin.write("go\n")
        host.stdin.flush()
    assert [host.communicate() and host.returncode for host in hosts] == [0, 0]
    failed = [number for number in range(40) if number % 4]
    told = sorted(f"on {name}: AlignFaces of shard {n}: no memory" for name in ("node1", "node2") for n in failed)
    assert sorted(read_failures(tmp_path)) == told
    assert not list(tmp_path.rglob("*.partial-*"))


def test_what_is_done_is_forgotten_on_whichever_host_it_had_failed(tmp_path):
    for host in ("node1", "node2"):
        write_failure(tmp_path, "faces of 1a", "AlignFaces of shard 1a: no memory", host=host)
    write_failure(tmp_path, "faces of 2b", "AlignFaces of shard 2b: no memory", host="node1")
    forget_failure(tmp_path, "faces of 1a")
    assert read_failures(tmp_path) == ["on node1: AlignFaces of shard 2b: no memory"]


def test_failures_are_told_in_the_order_of_time_and_a_later_one_replaces_its_like(tmp_path):
    for key, failure in (("b", "first"), ("a", "second"), ("c", "third"), ("a", "fourth")):
        write_failure(tmp_path, key, failure)
    assert read_failures(tmp_path) == ["first", "third", "fourth"]


def test_a_run_that_is_the_only_one_forgets_all_also_what_an_earlier_release_wrote(tmp_path):
    (tmp_path / "failures.json").write_text('["old"]')
    write_failure(tmp_path, "a", "new")
    clear_failures(tmp_path)
    assert read_failures(tmp_path) == []
    assert not (tmp_path / "failures.json").exists()


def test_a_damaged_note_is_told_and_hides_no_other(tmp_path):
    write_failure(tmp_path, "a", "one")
    (tmp_path / "failures" / "x.json").write_text("[" * 100_000)
    assert read_failures(tmp_path) == [f"{tmp_path}/failures/x.json cannot be read; remove it", "one"]
    (tmp_path / "failures" / "x.json").write_text('{"host": "a", "failure": ["x"], "time": 1e400}')
    assert read_failures(tmp_path) == [f"{tmp_path}/failures/x.json cannot be read; remove it", "one"]
