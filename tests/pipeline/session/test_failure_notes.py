"""What failed in a run, as this process notes it and as others read it."""

import pytest

from pipeline.runs.outcome.failures import read_failures, write_failure
from pipeline.session.failure_notes import FailureNotes
from pipeline.settings import config


@pytest.fixture(autouse=True)
def alone(monkeypatch):
    """No other host shares the work."""
    monkeypatch.setattr(config, "is_scheduler_local", lambda: True)


@pytest.fixture
def shared(monkeypatch):
    """Other hosts share the work."""
    monkeypatch.setattr(config, "is_scheduler_local", lambda: False)
    monkeypatch.setattr("socket.gethostname", lambda: "here")


def test_what_failed_is_told_and_kept_until_it_is_done(tmp_path):
    notes = FailureNotes(tmp_path)
    notes.note("stft of 5a", "no memory")
    notes.note("faces of 5a", "a bad disk")
    assert notes.told == notes.list_all() == ["no memory", "a bad disk"]
    assert read_failures(tmp_path) == ["no memory", "a bad disk"]
    notes.forget("stft of 5a")
    assert read_failures(tmp_path) == ["a bad disk"]
    assert notes.told == ["no memory", "a bad disk"], "it failed all the same"
    notes.forget_all()
    assert read_failures(tmp_path) == []


def test_other_hosts_failures_are_listed_and_ones_own_once(tmp_path, shared):
    notes = FailureNotes(tmp_path)
    write_failure(tmp_path, "faces of 6b", "no space", host="there")
    write_failure(tmp_path, "faces of 7c", "no memory", host="there")
    write_failure(tmp_path, "faces of 8d", "no time", host="here")
    notes.note("stft of 5a", "no memory")
    assert notes.list_all() == [
        "no memory",
        "on there: no space",
        "on there: no memory",  # the same as here
        "on here: no time",  # of another process
    ]
    assert "on here: no memory" in read_failures(tmp_path)


def test_where_nothing_can_be_written_it_is_told_alone(tmp_path):
    notes = FailureNotes(tmp_path)
    notes.note("stft of 5a", "no memory")
    notes.hindrance = "the folder is read-only"
    notes.note("faces of 5a", "a bad disk")
    notes.forget("stft of 5a")
    notes.forget_all()
    assert read_failures(tmp_path) == ["no memory"], "as it was"
    assert notes.told == ["no memory", "a bad disk"]


def test_a_full_disk_stops_no_note(tmp_path, monkeypatch):
    def fail(*what, **how):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pipeline.session.failure_notes.write_failure", fail)
    notes = FailureNotes(tmp_path)
    notes.note("stft of 5a", "no memory")
    assert notes.list_all() == ["no memory"]
