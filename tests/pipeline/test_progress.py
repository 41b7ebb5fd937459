"""What is shown of steps where there is no terminal."""

import io
import re

import pytest
from rich.console import Console

from pipeline import progress


def test_a_long_step_says_now_and_then_how_far_it_is(monkeypatch):
    now, lines = [100.0], []
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    steps = progress.Steps(None, 2, lines.append)
    for title in ("sound", "faces"):
        steps.start(title)
        for second in range(1, 26):
            now[0] += 1
            steps.advance(second / 25)
    assert lines == [
        "sound: 40%, 15 s left",
        "sound: 80%, 5.0 s left",
        "faces: 40%, 15 s left",
        "faces: 80%, 5.0 s left",
    ]


def test_a_terminal_has_one_bar_over_all_steps():
    bars = progress.RichProgress(disable=True)
    steps = progress.Steps(bars, 2, print)
    steps.start("sound")
    steps.start("faces")
    steps.advance(0.5)
    (task,) = bars.tasks
    assert (task.description, task.completed, task.total) == ("faces", 1.5, 2)


def test_a_stage_whose_work_is_counted_while_it_is_at_work_has_its_time(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    shown = progress.Progress(Console(file=io.StringIO()))
    with shown.working("pages of clips"):
        now[0] += 1
        shown.expect("pages of clips", 2, "pages")
        for _ in range(2):
            now[0] += 2
            shown.tick("pages of clips")
    state = shown.stages["pages of clips"]
    assert (state.done, state.elapsed, state.rate) == (2, 5.0, 0.4)


def test_a_bar_has_its_numbers_whole_on_a_terminal_of_80_columns():
    for width, told in ((80, "CCC -0.038"), (140, "loss 0.4969, validation CCC -0.038, 37.4 utterances/s")):
        shown = io.StringIO()
        bars = progress.Progress(Console(file=shown, width=width, force_terminal=True))
        bars.expect("train ANet", 1000, "epochs")
        with bars.working("train ANet"):
            bars.tick("train ANet", "loss 0.4969, validation CCC -0.038, 37.4 utterances/s", "CCC -0.038")
        bars.stop()
        last = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown.getvalue()).strip().splitlines()[-1]
        assert "train ANet" in last
        assert told in last
        assert "1/1000" in last
        assert "…" not in last


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.4, "0.4 s"),
        (9.94, "9.9 s"),
        (9.96, "10 s"),
        (59.4, "59 s"),
        (59.6, "1 min 0 s"),
        (119.7, "2 min 0 s"),
        (200, "3 min 20 s"),
        (3599.7, "1 h 0 min"),
        (7500, "2 h 5 min"),
        (float("inf"), "unknown"),
    ],
)
def test_a_duration_never_has_sixty_seconds_or_minutes(seconds, text):
    assert progress.format_seconds(seconds) == text
