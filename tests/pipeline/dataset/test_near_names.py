"""What is said where a clip is not and something nearly is."""

import pytest

from pipeline.dataset.near_names import NearNames

THERE = ["5e44", "12e3", "Anna_1", "M\u00fcller", "ben\u200b_2", "carla 3", "\ufb01n"]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        (
            "5E+44",
            "5E+44 looks like what a spreadsheet makes of the name 5e44, which is there; keep that column as text",
        ),
        (
            "1.20E+04",
            "1.20E+04 looks like what a spreadsheet makes of the name 12e3, which is there; keep that column as text",
        ),
        ("7E+10", "7E+10 looks like what a spreadsheet makes of a name such as 5e44; keep that column as text"),
        ("anna_1", "Anna_1 is there, which differs in upper and lower case"),
        ("ben_2", "ben\u200b_2 is there; its name holds the invisible character U+200B (ZERO WIDTH SPACE)"),
        ("Anna_1\u00a0", "Anna_1 is there; the CSV file's name holds the invisible character U+00A0 (NO-BREAK SPACE)"),
        ("carla3", "carla 3 is there, which looks the same but has other characters"),
        ("fin", "\ufb01n is there, which looks the same but has other characters"),
        ("dora", ""),
    ],
)
def test_what_is_nearly_there_is_named(name, said):
    assert NearNames(THERE).explain(name) == said


def test_a_name_that_no_file_can_have_is_said_to_be_too_long():
    assert NearNames([]).explain("\u00fc" * 127) == ""
    said = "its name is longer than the 255 bytes that file systems allow; rename it"
    assert NearNames([]).explain("\u00fc" * 128) == said
