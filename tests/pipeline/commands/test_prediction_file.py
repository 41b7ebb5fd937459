"""A file of predictions: which rows can be scored, and what is reported about the others."""

from pathlib import Path

import pytest

from pipeline.commands.prediction_file import Prediction, choose_scored, find_problems, read_predictions
from pipeline.dataset.utterances import DatasetError, Utterance

TRUTH = [
    Utterance(video, utterance, "truth", arousal, arousal, None, None, None, Path("truth.csv"), line)
    for line, (video, utterance, arousal) in enumerate(
        [("v", "1.mp4", 0.1), ("v", "2.mp4", 0.2), ("M\u00fcller", "1.mp4", None), ("w", "1.mp4", 0.4)], start=2
    )
]


def predicted(*names, values=(0.5, 0.25)):
    return [Prediction(line, *name.split("/"), values) for line, name in enumerate(names, start=2)]


def problems(rows):
    return [problem.removeprefix("p.csv:") for problem in find_problems(TRUTH, rows, "p.csv")]


def test_rows_are_read_as_they_stand_and_those_that_name_nothing_are_told(tmp_path):
    path = tmp_path / "p.csv"
    path.write_text("Utterance;video;AROUSAL;valence;more\n1.mp4;'-v;0.5;x;y\n;v;1;1\n", encoding="utf-8")
    told = []
    (row,) = read_predictions(path, told)
    assert (row.line, row.video, row.name) == (2, "-v", "-v/1")
    assert row.values[0] == 0.5
    assert row.values[1] != row.values[1], "x is no number"
    assert told == [f"{path}:3: the row has no video or no utterance"]


def test_a_file_that_is_empty_says_what_was_expected(tmp_path):
    (tmp_path / "p.csv").write_text("")
    with pytest.raises(DatasetError, match="the file is empty; expected a header with video, utterance, arousal"):
        read_predictions(tmp_path / "p.csv", [])


def test_the_truth_in_its_order_has_no_problem_however_an_umlaut_is_written():
    assert problems(predicted("v/1.mp4", "v/2.mp4", "Mu\u0308ller/1.mp4", "w/1.mp4")) == []


def test_what_does_not_fit_is_told_in_sentences():
    assert problems(predicted("w/1.mp4", "v/1.mkv", "v/2.mp4", "x/1.mp4", "v/2.mp4")) == [
        "3: wrong order: v/1 comes after w/1; the official script compares by position and would score it wrongly; "
        "here rows are joined by name",
        "3: 1.mkv is written 1.mp4 in the truth file",
        "5: unknown utterance x/1.mp4, not in the truth",
        " v/2 occurs 2 times (lines 4, 6); not scored",
        " missing utterance M\u00fcller/1.mp4 (truth line 4); not scored",
    ]
    (problem,) = problems(
        [*predicted("v/1.mp4", values=(float("nan"), 0.0)), *predicted("v/2.mp4", "M\u00fcller/1.mp4", "w/1.mp4")]
    )
    assert problem == "2: v/1 has a prediction that is not a finite number; not scored"


def test_scored_is_what_has_a_label_and_one_finite_prediction():
    rows = [
        *predicted("v/1.mp4"),
        *predicted("v/2.mp4", "v/2.mp4"),
        *predicted("M\u00fcller/1.mp4"),
        *predicted("w/1.mp4", values=(0.0, float("inf"))),
    ]
    assert [(row.name, values) for row, values in choose_scored(TRUTH, rows)] == [("v/1", (0.5, 0.25))]
