"""What stops a run before hours of training."""

from types import SimpleNamespace

import pytest

from pipeline.errors import UserError
from pipeline.report import features_check
from pipeline.report.features_check import check_features, describe_unread
from pipeline.runs.outcome.ledger import LedgerRow

OK = LedgerRow("v/a", "train", "ok", "ok", 100, 5)


def make_data(tmp_path, rows, *, limit=0.5, opensmile=False, there=None):
    asked = []
    settings = SimpleNamespace(run=SimpleNamespace(max_bad_fraction=limit, opensmile=opensmile, folds=0))
    clips = dict.fromkeys([row.utterance for row in rows] if there is None else there)
    return SimpleNamespace(
        run=SimpleNamespace(clips=clips, settings=settings, folder=tmp_path),
        ledger={row.utterance: row for row in rows},
        check_trainable=lambda: asked.append("trainable"),
        asked=asked,
    )


LOST = LedgerRow("v/b", "train", "ok", "missing_file", 100, 0, picture_message="the disk failed")


def test_a_clip_that_could_not_be_read_stops_nothing_and_is_told(tmp_path):
    data = make_data(tmp_path, [OK, LOST])
    check_features(data)
    assert data.asked == ["trainable"]
    said = "1 clip could not be read and had no influence on these results (the first: v/b: the disk failed); see "
    assert describe_unread(data).startswith(said)
    assert describe_unread(make_data(tmp_path, [OK])) == ""


def test_where_many_clips_cannot_be_read_they_count_as_bad(tmp_path):
    with pytest.raises(
        UserError, match=r"1 of the 2 files .* max_bad_fraction = 0.4 .* v/b, sound ok, picture missing"
    ):
        check_features(make_data(tmp_path, [OK, LOST], limit=0.4))


def test_a_clip_that_was_never_there_is_not_lost(tmp_path):
    gone = LedgerRow("v/b", "train", "missing_file", "missing_file")
    data = make_data(tmp_path, [OK, gone], there=["v/a"])
    check_features(data)
    assert data.asked == ["trainable"]
    assert describe_unread(data) == ""


@pytest.mark.parametrize(("limit", "stops"), [(0.4, True), (0.5, False)])
def test_too_many_bad_files_stop_the_run(tmp_path, limit, stops):
    data = make_data(tmp_path, [OK, LedgerRow("v/b", "train", "decode_error", "decode_error")], limit=limit)
    if not stops:
        check_features(data)
        return
    with pytest.raises(UserError, match=r"1 of the 2 files .* max_bad_fraction = 0.4 .* v/b, sound decode_error"):
        check_features(data)


def test_packages_are_asked_for_only_where_they_are_needed(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(features_check, "check_packages", lambda: asked.append(1))
    check_features(make_data(tmp_path, [OK]))
    assert asked == []
    check_features(make_data(tmp_path, [OK], opensmile=True))
    assert asked == [1]
