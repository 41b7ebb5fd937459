"""The record of a run that found nothing to do, and the changes after which the next run looks at each clip again."""

import json
import re
import shutil
import subprocess
import sys

import pytest

from tests.pipeline.conftest import ROOT

#: Each line is a change that the record could miss: a path, and what is done to the first file that matches it.
CHANGES = """
train.csv: append
validation.csv: remove
videos/train/1.mp4: remove
videos/train/1.mp4: touch
videos/train/1.mp4: other bytes
videos/train/1.mp4: forbid
videos/train/1.mp4: link to nothing
videos/train/1.mkv: make
videos/train/1.srt: make
videos/train.mp4: make
videos/more/1.mp4: make
videos/train: rename
store/erased.json: make
store/roots/NAME.json: append
store/shards/*.json: remove
store/shards/0123456789abcdef.json: make
store/wav/*/*.h5: remove
store/stft/*/*.h5: remove
store/stft/*/*.h5: touch
store/frames/*/*.h5: remove
store/faces/*/*.h5: remove
store/embeddings/*/*.h5: append
store/embeddings: rename
runs/ledger.csv: remove
runs/ledger.csv: append
runs/latest: remove
runs/reports/*/report.json: remove
runs/reports/*/browse: remove
runs/browse: rename
runs/checkpoints/anet-*/best.pt: remove
runs/checkpoints/joint-*/training.json: remove
runs/needed.json: remove
runs/settled.json: damage
"""

SCRIPT = """
import os, shutil, sys
from pathlib import Path
from pipeline.runs.opening import read_frame
from pipeline.training.settled import find_settled

def append(path):
    with path.open("ab") as file:
        file.write(b"\\n")

def other_bytes(path):
    path.write_bytes(path.read_bytes()[::-1])  # as many, at another time

def link_to_nothing(path):
    path.unlink()
    path.symlink_to("nothing")

def make(path):
    path.parent.mkdir(exist_ok=True)
    path.write_text("{}")

ACTIONS = {
    "append": append, "other bytes": other_bytes, "link to nothing": link_to_nothing, "make": make,
    "remove": Path.unlink, "touch": lambda path: os.utime(path, ns=(1, 1)), "forbid": lambda path: path.chmod(0),
    "rename": lambda path: path.rename(path.with_name("aside")), "damage": lambda path: path.write_text('{"a": 1'),
}
frame = read_frame(trains=True)
shutil.copytree(".", "../kept", symlinks=True)
for change in sys.argv[1:]:
    assert find_settled(frame, trains=True) is not None, f"before {change}"
    place, _, action = change.partition(": ")
    place = place.replace("NAME", frame.name)  # the place that it was copied from has a listing, too
    path = next(iter(sorted(Path().glob(place))), Path(place))
    ACTIONS[action](path)
    print(change, "-" if find_settled(frame, trains=True) is None else "NOT SEEN")
    # As it was, times included; a folder that was made goes.
    path.with_name("aside").exists() and path.with_name("aside").rename(path)
    if path.is_file() or path.is_symlink():
        path.unlink()
    kept = Path("../kept") / path
    if kept.is_symlink() or kept.is_file():
        shutil.copy2(kept, path, follow_symlinks=False)
    elif not any(path.parent.iterdir()):
        path.parent.rmdir()
"""


@pytest.fixture
def settled(stub_place):
    """A place in which a run has found everything there."""
    stub_place.run_stubs()
    assert (stub_place.folder / "runs" / "settled.json").exists()
    return stub_place


def run_script(place, *words, code=SCRIPT):
    command = [sys.executable, "-c", code, *words]
    environment = {"PYTHONPATH": str(ROOT), "LUIGI_CONFIG_PATH": "mine.cfg"}
    return subprocess.run(command, cwd=place.folder, env=environment, capture_output=True, text=True)


def test_each_change_is_seen(settled):
    changes = CHANGES.strip().splitlines()
    ended = run_script(settled, *changes)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.splitlines() == [f"{change} -" for change in changes]


def without_times(text):
    return re.sub(r"[\d.]+ s in all.*", "", text)


@pytest.mark.parametrize("task", ["FullRun", "Features"])
def test_a_run_says_the_same_whether_or_not_it_looks_at_each_clip(settled, task):
    rows = settled.rows("train")
    settled.write_rows("train", [*rows, settled.row("gone/1.mp4"), ",,,,,0.5,0.5,1"])  # a missing file, a warning
    (settled.folder / "videos/train/2.mp4").unlink()  # its features are kept
    settled.run_stubs()
    (settled.folder / "runs" / "settled.json").unlink()
    told = []
    for _ in range(2):
        ended = settled.run(task=task)
        status = subprocess.run(
            [sys.executable, "-m", "pipeline", "status", "--json"],
            cwd=settled.folder,
            env={"PYTHONPATH": str(ROOT), "LUIGI_CONFIG_PATH": "mine.cfg"},
            capture_output=True,
            text=True,
        )
        log = max((settled.folder / "runs" / "logs").glob("*.log"), key=lambda path: path.stat().st_mtime_ns)
        told.append((ended.returncode, without_times(ended.stdout), without_times(ended.stderr), status.stdout))
    assert told[0] == told[1]
    assert told[0][0] == 0
    assert "it has neither a video nor an utterance" in told[0][2]
    assert json.loads(told[0][3])["missing"] == 1
    assert "nothing has changed since the last run" in log.read_text()


def test_features_alone_say_nothing_of_trainings(settled):
    (settled.folder / "runs" / "settled.json").unlink()
    assert settled.run(task="Features").returncode == 0
    code = (
        "from pipeline.runs.opening import read_frame\nfrom pipeline.training.settled import find_settled\n"
        "print([find_settled(read_frame(), trains=trains) is not None for trains in (False, True)])"
    )
    assert run_script(settled, code=code).stdout == "[True, False]\n"


def test_pages_that_somebody_has_removed_are_written_again(settled):
    shutil.rmtree(settled.folder / "runs" / "browse")
    settled.run_stubs()
    assert (settled.folder / "runs" / "latest" / "browse" / "index.html").is_file()


TAMPERED = """
import json
from pathlib import Path
from pipeline.runs.opening import read_frame
from pipeline.training.settled import find_settled

frame, path = read_frame(), Path("runs/settled.json")
sound = json.loads(path.read_text())
values = [None, 7, -1, 0.5, True, "x", [7], [["x"]], [["x", 7]], [["x", "y", {"z": 7}]]]
values += [[["train", "sound", {"[/x]": 1}]], ["\\x1b[2J"], {"frame": 7}, [[]] * 3, [["\\x1b[2J", 7]]]
for name in sound:
    for value in values:
        path.write_text(json.dumps({**sound, name: value}))
        settled = find_settled(frame, trains=True)
        # Whole numbers, and warnings that are plain text, are as good as others.
        if settled is not None and not (type(value) is int and value > 0 or (name, value) == ("trains", True)):
            print(name, value)
path.write_text("[" * 100_000)
print(find_settled(frame, trains=True))
"""


def test_what_somebody_else_wrote_there_is_not_believed(settled):
    ended = run_script(settled, code=TAMPERED)
    assert (ended.returncode, ended.stdout) == (0, "None\n"), ended.stderr


def test_links_that_lead_nowhere_hide_nothing_of_what_is_beside_them(settled):
    (settled.folder / "runs" / "settled.json").unlink()
    training = next((settled.folder / "runs/checkpoints").glob("anet-*/training.json"))
    training.with_name("nowhere").symlink_to("nothing")
    training.with_name("round").symlink_to("round")
    assert settled.run().returncode == 0
    code = (
        "from pathlib import Path\nfrom pipeline.runs.opening import read_frame\n"
        "from pipeline.training.settled import find_settled\n"
        "print(find_settled(read_frame(), trains=True) is not None)\n"
        f"Path({str(training)!r}).unlink()\n"
        "print(find_settled(read_frame(), trains=True) is not None)"
    )
    assert run_script(settled, code=code).stdout == "True\nFalse\n"


LOSES = """
from pathlib import Path
from pipeline.session import session

look = session.look_at_made

def look_when_one_is_gone(frame):
    next(Path("store").glob({pattern!r})).unlink()
    return look(frame)

session.look_at_made = look_when_one_is_gone
"""


def test_a_plan_that_was_removed_while_a_run_was_at_work_is_written_by_the_next(settled):
    pattern = "shards/*.json"
    (settled.folder / "runs" / "settled.json").unlink()
    there = {path.name for path in (settled.folder / "store").glob(pattern)}
    for code in (LOSES.format(pattern=pattern), ""):
        assert settled.run(code=code).returncode == 0
    assert {path.name for path in (settled.folder / "store").glob(pattern)} == there
