"""What the report says of its data: coverage, recordings, the data set's name, and which network each row is of."""

import json
from types import SimpleNamespace

import numpy as np

from pipeline.report.publish import (
    _average_split,
    count_coverage,
    describe_data,
    describe_recordings,
    list_split,
    note_missing_files,
    note_recordings,
    read_curve,
)
from pipeline.report.report_files import SplitListing
from pipeline.runs.outcome.ledger import LedgerRow
from tests.models.training.test_constant import history

NAN = float("nan")


def listing(split="validation", count=12, groups=(), shared=(), labels=True):
    names = [f"v{k}/a" for k in range(count)]
    values = np.zeros((count, 2)) if labels else None
    files, ok = ["a.mp4"] * count, ["ok"] * count
    return SplitListing(split, names, names, files, values, ok, ok, groups=groups or names, shared=shared)


def test_coverage_counts_each_status_and_missing_files_are_noted():
    rows = [
        LedgerRow("v/a", "train", "ok", "no_face"),
        LedgerRow("v/b", "train", "missing_file", "missing_file"),
        LedgerRow("w/a", "test", "ok", "ok"),
    ]
    assert count_coverage(rows) == {
        "train": {"listed": 2, "sound": {"ok": 1, "missing_file": 1}, "picture": {"no_face": 1, "missing_file": 1}},
        "test": {"listed": 1, "sound": {"ok": 1}, "picture": {"ok": 1}},
    }
    assert list(note_missing_files(rows)) == [
        "PARTIAL DATA: 1 of 2 listed train utterances has no file that can be read"
    ]
    several = [*rows, LedgerRow("v/c", "train", "missing_file", "missing_file")]
    assert list(note_missing_files(several)) == [
        "PARTIAL DATA: 2 of 3 listed train utterances have no file that can be read"
    ]
    assert list(note_missing_files(rows[2:])) == []


def test_too_few_recordings_for_intervals_are_noted_where_there_are_labels():
    groups = ["one"] * 6 + ["two"] * 6
    (note,) = note_recordings([listing(groups=groups), listing("test", groups=groups, labels=False), listing("train")])
    assert note == ("NO INTERVALS on validation: its utterances are parts of 2 recordings, and an interval needs 10")


def test_recordings_that_were_learnt_from_are_noted():
    shared = [True, True, True] + [False] * 9
    groups = ["one", "one", "two", *(f"r{k}" for k in range(9))]
    (note,) = note_recordings([listing(groups=groups, shared=shared)])
    assert note == (
        "SHARED RECORDINGS: 3 of 12 validation utterances come from 2 recordings that the networks were trained or "
        "chosen on; the others are also scored alone"
    )
    assert describe_recordings("link", [listing(groups=groups)]) == {"by": "link", "validation": 11}


def make_data(splits, official=False):
    """A data set: each split to its (name, recording)s."""
    utterances = [
        SimpleNamespace(
            name=name, video=name.split("/")[0], utterance="a.mp4", split=split, csv_path=f"{split}.csv", of=of
        )
        for split, rows in splits.items()
        for name, of in rows
    ]
    grouping = SimpleNamespace(take=lambda names: [next(u.of for u in utterances if u.name == n) for n in names])
    ledger = {u.name: LedgerRow(u.name, u.split, "ok", "ok", 250, 30, shard="5a") for u in utterances}
    faces = {"num_frames": 40}
    shards = {"faces": {u.name: faces for u in utterances}}

    class Rows(dict):
        def fact(self, name, fact):
            return self[name][fact]

    return SimpleNamespace(
        find_part=lambda utterance: utterance.split if utterance.split != "test" else "",
        run=SimpleNamespace(
            dataset=SimpleNamespace(utterances=utterances, grouping=grouping),
            shard=lambda stage, shard: Rows(shards[stage]) if stage in shards else None,
        ),
        utterances=lambda split: [u for u in utterances if u.split == split],
        labels=lambda split: None,
        splits=list(splits),
        ledger=ledger,
    )


def test_a_split_shares_the_recordings_of_those_it_meets_after():
    data = make_data(
        {
            "train": [("v1/a", "one"), ("v2/a", "two")],
            "validation": [("v3/a", "two"), ("v4/a", "three")],
            "test": [("v5/a", "one"), ("v6/a", "three"), ("v7/a", "four")],
        }
    )
    assert [list_split(data, split).shared for split in data.splits] == [
        [False, False],
        [True, False],
        [True, True, False],
    ]
    found = list_split(data, "train")
    assert (found.seconds, found.face_shares) == ([2.5, 2.5], [0.75, 0.75])


def test_a_data_set_of_ones_own_is_named_by_its_files():
    data = make_data({"train": [("v1/a", "one"), ("v2/a", "two")], "test": [("v5/a", "one")]})
    assert describe_data(data) == "train.csv, test.csv"


def test_joint_falls_back_and_several_seeds_are_averaged():
    def seen(*rows):
        return np.array([[value, value] for value in rows])

    one = {"anet": seen(0.1, 0.2, NAN), "vnet": seen(0.3, NAN, NAN), "joint": seen(0.5, NAN, NAN)}
    other = {"anet": seen(0.3, 0.4, NAN), "vnet": seen(0.5, NAN, NAN), "joint": seen(0.7, NAN, NAN)}
    found = {p.model: p for p in _average_split([one, other], listing(count=3))}
    np.testing.assert_allclose(found["anet"].values[:, 0], [0.2, 0.3, NAN])
    np.testing.assert_allclose(found["joint"].values[:, 0], [0.6, 0.3, NAN])
    assert found["joint"].rests_on == ["joint", "anet", "mean"]
    assert found["vnet"].rests_on == ["vnet"] * 3


def test_a_curve_is_read_line_by_line_and_may_be_gone(tmp_path):
    assert read_curve(tmp_path) == []
    epochs = [epoch.as_plain() for epoch in history(0.1, 0.2)]
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(epoch) + "\n" for epoch in epochs))
    assert read_curve(tmp_path) == epochs
