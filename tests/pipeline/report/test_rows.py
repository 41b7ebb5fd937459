"""Rows of predictions: no name is a formula to a spreadsheet, and our own readers get every name back."""

import csv
import io

import pytest

from pipeline.report.rows import DetailRow, format_details, format_predictions, parse_details
from pipeline.runs.outcome.ledger import LedgerRow, format_ledger

NAMES = ["5b44393ed", "-571d8cVauQ", "=1+1", "@SUM(A1)", "+cmd|' /C calc'!A0", "'=1", "'tis", "ü b"]


@pytest.mark.parametrize("name", NAMES)
def test_names_come_back(name):
    row = DetailRow(name, f"{name}.mp4", (-0.25, 0.5), "vnet", "ok", "ok", (-0.1, 0.2))
    assert parse_details(format_details([row])) == [row]


def test_the_challenges_file_has_the_truth_files_names_where_they_can_compute_nothing():
    rows = [DetailRow(name, "utterance_1.mp4", (-0.25, 0.5), "vnet", "ok", "ok") for name in NAMES]
    written = list(csv.reader(io.StringIO(format_predictions(rows))))[1:]
    assert written[0] == ["5b44393ed", "utterance_1.mp4", "-0.250000", "0.500000"]
    assert [row[0] for row in written] == [
        "5b44393ed", "-571d8cVauQ", "'=1+1", "'@SUM(A1)", "'+cmd|' /C calc'!A0", "''=1", "'tis", "ü b",
    ]  # fmt: skip


def test_a_ledgers_messages_and_names_are_text():
    text = format_ledger([LedgerRow("=1/a", "train", "ok", "decode_error", 5, 0, "", "-x\x1b[2J\nnext")])
    [row] = csv.DictReader(io.StringIO(text))
    assert row["utterance"] == "'=1/a"
    assert row["picture_message"] == r"'-x\x1b[2J\x0anext"
    assert row["num_stft_frames"] == "5"
