"""Text for terminals and spreadsheets."""

import pytest

from store.text import escape, escape_json, format_time, guard_cell, read_cell, render_table


@pytest.mark.parametrize("cell", ["=1+1", "+1+1", "-1+1", "@A1", "=cmd|' /C calc'!A0", "'=1", "''=1", "-Ab", "-"])
def test_what_a_spreadsheet_would_compute_is_text_and_comes_back(cell):
    guarded = guard_cell(cell)
    assert guarded == f"'{cell}"
    assert read_cell(guarded) == cell


@pytest.mark.parametrize("cell", ["-1.5", "+3", "-1e-07", "-.5", "5.", "-inf", "nan", "", "a=1", "'tis", "a_1.mp4"])
def test_numbers_and_other_text_stay(cell):
    assert guard_cell(cell) == cell
    assert read_cell(cell) == cell


@pytest.mark.parametrize(("value", "cell"), [(-1.5, "-1.5"), (None, "None"), ("\t=1", r"\x09=1"), ("a\nb", r"a\x0ab")])
def test_cells_of_other_kinds(value, cell):
    assert guard_cell(value) == cell


def test_nothing_that_steers_is_left():
    assert escape("ü\x1b[0m\x07\x85\u2028\u202e\ud800é") == r"ü\x1b[0m\x07\x85\u2028\u202e\ud800é"
    assert escape_json('{\n "a": "\x7f\u202e"\n}') == '{\n "a": "\\u007f\\u202e"\n}'


def test_a_table_is_as_wide_as_its_cells():
    table = render_table(("a", "long"), [("1", "x\ny"), ("22", "z")], right=[0])
    assert table == " a  long\n 1  x\\x0ay\n22  z"


def test_times_that_no_calendar_has():
    assert format_time(0) == "1970-01-01 00:00"
    assert format_time(1e15) == "1000000000000000 s after 1970"
