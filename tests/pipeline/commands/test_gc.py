"""`gc`: old checkpoints are removed; those that reports, predictions and the last run name stay."""

import json
import os
import shutil

import pytest

from pipeline.__main__ import main
from pipeline.runs.old_checkpoints import NEEDED, find_old_checkpoints, write_needed
from tests.pipeline.test_changes import add_clip

A, B, C, D, E = (f"anet-{digit * 16}" for digit in "abcde")


@pytest.fixture
def root(tmp_path):
    """Runs with the checkpoints A to E: reports name A, then B; the last run asks for C; a prediction has D."""
    root = tmp_path / "runs"
    for name in (A, B, C, D, E):
        (root / "checkpoints" / name).mkdir(parents=True)
        (root / "checkpoints" / name / "best.pt").write_bytes(b"x" * 1000)
        (root / "checkpoints" / name / "training.json").write_text("{}")
    (root / "checkpoints" / E / "training.json").unlink()
    (root / "tensorboard" / "of E").mkdir(parents=True)
    (root / "tensorboard" / "of E" / "events.out.tfevents.valar").write_bytes(b"x")
    (root / "checkpoints" / E / "curves").symlink_to("../../tensorboard/of E")
    for report, written, name in (("r1", "2018-07-01 10:00", A), ("r2", "2018-07-02 10:00", B)):
        (root / "reports" / report).mkdir(parents=True)
        content = {"provenance": {"written": written, "checkpoints": {"anet": f"runs/checkpoints/{name}"}}}
        (root / "reports" / report / "report.json").write_text(json.dumps(content))
    (root / "predictions" / "p").mkdir(parents=True)
    made_with = {"provenance": {"checkpoints": {"anet": f"runs/checkpoints/{D}/best.pt sha256:00"}}}
    (root / "predictions" / "p" / "prediction.json").write_text(json.dumps(made_with))
    (root / "latest").symlink_to("reports/r2")
    write_needed(root, tmp_path / "store", [root / "checkpoints" / C])
    return root


def left(root):
    return sorted(path.name for path in (root / "checkpoints").iterdir())


def gc(root, *arguments):
    return main(["gc", "--runs", str(root), *arguments])


def test_what_nothing_names_goes(root, capsys):
    assert gc(root) == 0
    assert capsys.readouterr().out == (
        f"checkpoints/{E}: its training was stopped, and the last run does not need it (1.0 kB)\n"
        "1 folder, 1.0 kB removed\n"
    )
    assert left(root) == [A, B, C, D]
    assert (root / "tensorboard" / "of E" / "events.out.tfevents.valar").is_file()
    assert gc(root) == 0
    assert capsys.readouterr().out.startswith("nothing to remove")


def test_a_dry_run_says_the_same_and_removes_nothing(root, capsys):
    assert gc(root, "--dry-run", "--newest", "1", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert [item["path"] for item in told["checkpoints"]] == [f"checkpoints/{A}", f"checkpoints/{E}"]
    assert told["checkpoints"][0]["reason"] == "only older reports need it"
    assert told["removed"] is False
    assert left(root) == [A, B, C, D, E]


def test_only_the_newest_reports_keep_theirs_and_the_linked_one(root):
    assert gc(root, "--newest", "1") == 0
    assert left(root) == [B, C, D]
    assert (root / "reports" / "r1" / "report.json").is_file()


def test_the_report_that_latest_links_keeps_its_own_whatever_its_age(root):
    (root / "latest").unlink()
    (root / "latest").symlink_to("reports/r1")
    assert gc(root, "--newest", "1") == 0
    assert left(root) == [A, B, C, D]


def test_seeds_and_folds_of_a_report_stay(root):
    path = root / "reports" / "r1" / "report.json"
    content = json.loads(path.read_text())
    content |= {"ensemble": {"checkpoints": {"anet": [f"x/{A}", f"x/{E}"]}}, "cross_validation": {"checkpoints": [C]}}
    path.write_text(json.dumps(content))
    write_needed(root, root, [])
    assert find_old_checkpoints(root) == []


def test_what_a_stopped_training_goes_on_from_stays(root):
    folder = root / "checkpoints" / C
    (folder / "training.json").unlink()
    (folder / "start.json").write_text(json.dumps({"begun_as": "0", "start": E.partition("-")[2]}))
    assert find_old_checkpoints(root) == []


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        (lambda root: (root / NEEDED).unlink(), "so it is not known which checkpoints are needed"),
        (lambda root: (root / NEEDED).write_text("[]"), "run once"),
        (lambda root: (root / "reports" / "r1" / "report.json").write_text("{"), "r1/report.json cannot be read"),
        (
            lambda root: (root / "predictions" / "p" / "prediction.json").write_text("{"),
            "prediction.json cannot be read",
        ),
        (lambda root: (root / NEEDED).write_text('{"store": "\\u0000", "checkpoints": []}'), "run once"),
        (lambda root: (root / NEEDED).write_text('{"store": "x", "checkpoints": [1]}'), "run once"),
        (lambda root: (root / "checkpoints" / E / "thesis.txt").write_text("mine"), f"{E} is not removed"),
        (lambda root: (root / "checkpoints" / E / "more").mkdir(), f"{E} is not removed"),
        (lambda root: (root / "checkpoints" / E / "last.pt").symlink_to("/etc/hosts"), f"{E} is not removed"),
    ],
    ids=[
        "nothing said",
        "said nothing",
        "damaged report",
        "damaged prediction",
        "no path",
        "no names",
        "somebody's file",
        "a folder",
        "a link",
    ],
)
def test_where_what_is_old_is_not_known_nothing_goes(root, break_it, message, capsys):
    break_it(root)
    before = sorted(root.rglob("*"))
    assert gc(root, "--newest", "1") == 2
    assert message in capsys.readouterr().err
    assert sorted(root.rglob("*")) == before


def test_a_folder_of_checkpoints_that_is_a_link_is_let_alone(root, capsys):
    elsewhere = root.parent / "elsewhere"
    (root / "checkpoints").rename(elsewhere)
    (root / "checkpoints").symlink_to(elsewhere)
    assert gc(root) == 2
    assert "is a link; remove the link yourself" in capsys.readouterr().err
    assert sorted(path.name for path in elsewhere.iterdir()) == [A, B, C, D, E]


def test_a_file_of_two_names_frees_its_bytes_only_with_both(root):
    other = f"joint-{'e' * 16}"
    (root / "checkpoints" / other).mkdir()
    os.link(root / "checkpoints" / A / "best.pt", root / "checkpoints" / other / "anet.pt")
    assert {item.path: item.num_bytes for item in find_old_checkpoints(root)}[f"checkpoints/{other}"] == 0
    assert sum(item.num_bytes for item in find_old_checkpoints(root, newest=1)) == 2000 + 2


def test_other_folders_are_none_of_its_business(root):
    (root / "checkpoints" / "mine").mkdir()
    assert gc(root, "--newest", "1") == 0
    assert left(root) == [B, C, D, "mine"]


def test_runs_say_what_they_need_and_after_gc_none_has_anything_to_do(stub_place):
    add_clip("train", "new/1.mp4")(stub_place)
    stub_place.run_stubs()
    before = left(stub_place.folder / "runs")
    assert len(before) == 6
    # These reports name no checkpoints, so only those of the last run are needed.
    for path in (stub_place.folder / "runs/reports").glob("*/report.json"):
        path.write_text(json.dumps({"models": {}, "notes": [], "provenance": {"checkpoints": {}}}))
    told = stub_place.command("gc", "--dry-run")
    assert "3 folders" in told.stdout, told.stderr
    assert left(stub_place.folder / "runs") == before
    assert stub_place.command("gc").returncode == 0
    assert len(left(stub_place.folder / "runs")) == 3
    assert [stage["waiting"] for stage in stub_place.run_stubs()] == [0] * 9
    shutil.rmtree(stub_place.folder / "runs/reports")
    assert [stage["waiting"] for stage in stub_place.run_stubs()] == [0] * 8 + [1]
