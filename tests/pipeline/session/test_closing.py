"""The tables that a run prints at its end."""

import io

from rich.console import Console

from pipeline.chain import REPORT_TITLE
from pipeline.progress import StageState
from pipeline.runs.outcome.ledger import LedgerRow, count_statuses
from pipeline.runs.outcome.rates import Rate
from pipeline.session.closing import (
    NEXT_WITHOUT_TRAINING,
    make_clips_table,
    make_stages_table,
    measure_rates,
    print_end,
)
from pipeline.settings.files import OVERLAY_VARIABLE


def lines(table):
    """The cells of each row, as printed."""
    console = Console(file=io.StringIO(), width=120)
    console.print(table)
    rows = [line for line in console.file.getvalue().splitlines() if line.startswith(("\u2502", "|"))]
    return [[cell.strip() for cell in row.replace("\u2502", "|").strip("|").split("|")] for row in rows]


def test_clips_are_counted_by_split_and_status():
    rows = [
        LedgerRow("v/a", "train", "ok", "no_face"),
        LedgerRow("v/b", "train", "ok", "ok"),
        LedgerRow("w/a", "test", "missing_file", "missing_file"),
        LedgerRow("w/b", "test", "decode_error", "missing_file"),
    ]
    assert lines(make_clips_table(count_statuses(rows))) == [
        ["train", "2", "sound", "2", ""],
        ["", "", "picture", "1", "no_face 1"],
        ["test", "2", "sound", "0", "decode_error 1, missing_file 1"],
        ["", "", "picture", "0", "missing_file 2"],
    ]


def test_stages_say_what_was_done_now_and_before_and_how_fast():
    stages = {
        "find faces": StageState("find faces", 8, "clips", done=8, seconds=4.0),
        "train ANet": StageState("train ANet", 30, "epochs", done=12, seconds=6.0),
        REPORT_TITLE: StageState(REPORT_TITLE, 0, "reports"),
    }
    assert lines(make_stages_table(stages, {"find faces": 5})) == [
        ["find faces", "8", "5", "4.0 s", "2 clips/s"],
        ["train ANet", "12/30", "", "6.0 s", "2 epochs/s"],
        [REPORT_TITLE, "0", "yes", "", ""],
    ]


def test_rates_are_those_of_the_stages_that_were_there():
    stages = {
        "find faces": StageState("find faces", 8, "clips", done=8, seconds=4.0),
        REPORT_TITLE: StageState(REPORT_TITLE, 1, "reports", done=1, seconds=3.0),
        "train ANet": StageState("train ANet", 1, "epochs", done=1, seconds=1.0),
    }
    found = measure_rates(stages, {"faces": "find faces", "stft": "transform sound"})
    assert found == {"faces": Rate(8, 4.0), REPORT_TITLE: Rate(1, 3.0)}


def test_the_last_line_names_the_settings_that_the_next_command_would_not_know_of(monkeypatch):
    for overlay, named in (("", "valar"), ("valar.cfg", "valar"), ("demo.cfg", "valar --config demo.cfg")):
        monkeypatch.setenv(OVERLAY_VARIABLE, overlay)
        console = Console(file=io.StringIO(), width=40)
        print_end(console, 1.0, None, NEXT_WITHOUT_TRAINING)
        last = console.file.getvalue().splitlines()[-1]
        assert last == f"next: {named} store ls, or {named} store browse -o DIR"
