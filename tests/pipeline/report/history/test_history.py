"""The history of reports, from folders as a run leaves them; damaged ones and those of earlier releases among them."""

import json
import logging
import re
import shutil

import pytest

from pipeline.report.history.history import FIRST, HISTORY, NUMBERS, collect_history, format_history, parse_history
from pipeline.report.history.history_page import PAGE, keep_history
from pipeline.runs.outcome.ledger import LedgerRow, format_ledger

EVIL = "<script>alert(1)</script>"


def score(ccc, interval=0.1):
    ends = {"ccc_low": ccc - interval, "ccc_high": ccc + interval}
    return {
        "arousal": {"ccc": ccc, **ends},
        "valence": {"ccc": ccc / 2, "ccc_low": None, "ccc_high": None},
        "total_ccc": 1.5 * ccc,
        "total_ccc_low": 1.5 * ccc - interval,
        "total_ccc_high": 1.5 * ccc + interval,
        "scored": 3,
        "listed": 4,
    }


def write_report(root, name, written, *, ccc=0.5, epochs=30, labels=(0.1, 0.2), **extra):
    folder = root / "reports" / name
    folder.mkdir(parents=True)
    rows = [
        LedgerRow(f"v/{i}", "train", "ok", "ok", 3, 3, shard="s", source_sha256=f"{i}", arousal=label, valence=0.0)
        for i, label in enumerate(labels)
    ]
    content = {
        "models": {
            model: {"train": score(0.9), "validation": score(ccc), "test": {"listed": 2, "scored": 0}}
            for model in ("vnet",)
        },
        "notes": [],
        "coverage": {"train": {"listed": len(labels)}, "validation": {"listed": 4}},
        "provenance": {"written": written, "settings": {"vnet": {"epochs": epochs}, "run": {"threads": epochs}}},
        **extra,
    }
    (folder / "report.json").write_text(json.dumps(content))
    (folder / "ledger.csv").write_text(format_ledger(rows))
    (folder / "report.html").write_text("page")
    return folder


@pytest.fixture
def root(tmp_path):
    write_report(tmp_path, "bb", "2018-07-01 10:00", ccc=0.2)
    write_report(tmp_path, "aa", "2018-07-08 10:00", ccc=0.3, epochs=40, labels=(0.1, 0.3, 0.7))
    return tmp_path


def test_each_report_says_what_is_different_from_the_one_before(root):
    first, second = collect_history(root)
    assert (first.report, first.changed, first.clips) == ("bb", FIRST, {"train": 2, "validation": 4})
    assert second.changed == ("[vnet] epochs 30 to 40; 1 clip added (v/2); 1 label changed (v/1: arousal 0.2 to 0.3)")
    (train, validation) = second.scores  # test has no labels
    assert (train.split, validation.split, validation.scored) == ("train", "validation", 3)
    assert validation.numbers == pytest.approx(
        dict(zip(NUMBERS, (0.3, 0.2, 0.4, 0.15, None, None, 0.45, 0.35, 0.55), strict=True))
    )


def test_the_files_are_written_and_read_again(root):
    keep_history(root)
    entries = parse_history((root / HISTORY).read_text())
    assert format_history(entries) == (root / HISTORY).read_text()
    assert [entry.changed for entry in entries] == [entry.changed for entry in collect_history(root)]
    page = (root / PAGE).read_text()
    assert page.index('2. <a href="reports/aa/report.html">2018-07-08 10:00</a>') < page.index("reports/bb/")
    assert (
        re.sub(r"\s+", " ", page).count("<td>0.3000 [0.20, 0.40]</td><td>0.1500</td><td>0.4500 [0.35, 0.55]</td>") == 1
    )
    assert page.count("<svg") == 1
    assert page.count(", report 2: ") >= 1
    before = {name: (root / name).read_bytes() for name in (HISTORY, PAGE)}
    keep_history(root)
    assert {name: (root / name).read_bytes() for name in (HISTORY, PAGE)} == before


def test_a_setting_that_came_later_is_no_change(root):
    folder = write_report(root, "dd", "2018-07-09 10:00", epochs=40, labels=(0.1, 0.3, 0.7))
    content = json.loads((folder / "report.json").read_text())
    content["provenance"]["settings"]["run"] |= {"warm_start": False, "seeds": 3}
    (folder / "report.json").write_text(json.dumps(content))
    assert collect_history(root)[-1].changed == "[run] seeds 1 to 3"


def test_what_is_known_of_a_report_outlives_its_folder(root):
    keep_history(root)
    shutil.rmtree(root / "reports" / "bb")
    write_report(root, "cc", "2018-07-15 10:00", ccc=0.4, epochs=50, labels=(0.1, 0.3, 0.7))
    keep_history(root)
    entries = parse_history((root / HISTORY).read_text())
    assert [entry.report for entry in entries] == ["bb", "aa", "cc"]
    assert entries[1].changed.startswith("[vnet] epochs 30 to 40; 1 clip added")
    assert entries[2].changed == "[vnet] epochs 40 to 50"
    assert "the report's folder is gone" in (root / PAGE).read_text()


def test_a_report_written_anew_is_read_anew(root):
    keep_history(root)
    shutil.rmtree(root / "reports" / "aa")
    write_report(root, "aa", "2018-07-09 11:00", ccc=0.7)
    keep_history(root)
    assert [entry.written for entry in collect_history(root)] == ["2018-07-01 10:00", "2018-07-09 11:00"]
    assert collect_history(root)[1].changed == "nothing"


@pytest.mark.parametrize(
    "content",
    ["", "[]", "{}", '{"models": 3, "provenance": {"written": "2018-07-09"}}', '{"models": {"vnet": {"test": 4}}}'],
)
def test_a_damaged_report_is_told_and_costs_no_other(root, content, caplog):
    folder = write_report(root, "dd", "2018-07-09 10:00")
    (folder / "report.json").write_text(content)
    with caplog.at_level(logging.WARNING, "valar"):
        keep_history(root)
    entries = {entry.report: entry for entry in parse_history((root / HISTORY).read_text())}
    assert entries["dd"].scores == ()
    assert f"{folder} cannot be read for the history" in caplog.text
    assert entries["dd"].changed.startswith("it cannot be read")
    assert entries["aa"].changed.startswith("[vnet] epochs 30 to 40")


def test_a_report_of_an_earlier_release_gives_what_it_has(root):
    folder = write_report(root, "dd", "2018-07-09 10:00", epochs=40)
    (folder / "ledger.csv").write_text("video,status\n")
    entry = collect_history(root)[-1]
    assert entry.changed == "it is not known which clips differ, because a report has no readable ledger.csv"
    assert len(entry.scores) == 2


@pytest.mark.parametrize("text", ["", "a,b\n1,2\n", "\x00\xff", "written,report\n"])
def test_a_damaged_history_is_written_anew_and_told(root, text, caplog):
    (root / HISTORY).write_bytes(text.encode("latin-1"))
    with caplog.at_level(logging.WARNING, "valar"):
        keep_history(root)
    assert "cannot be read and is written again" in caplog.text
    assert [entry.report for entry in parse_history((root / HISTORY).read_text())] == ["bb", "aa"]


def test_no_text_of_the_data_is_taken_for_a_page_or_a_formula(tmp_path):
    write_report(tmp_path, "aa", "2018-07-01 10:00", epochs="x")
    write_report(
        tmp_path, "bb", f"2018-07-02 {EVIL}", epochs=EVIL, coverage={"train": {"listed": 3}, EVIL: {"listed": 1}}
    )
    keep_history(tmp_path)
    page = (tmp_path / PAGE).read_text()
    assert EVIL not in page
    assert "[vnet] epochs x to &lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert all(not cell.startswith(("=", "+", "@")) for cell in (tmp_path / HISTORY).read_text().split(","))


def test_what_cannot_be_written_costs_no_report(root, caplog):
    (root / HISTORY).mkdir()
    with caplog.at_level(logging.WARNING, "valar"):
        keep_history(root)
    assert "could not be brought up to date" in caplog.text
