"""What the trainings will be made of, told before a clip is read."""

from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.dataset.utterances import Dataset, Utterance
from pipeline.runs.changes.clip_changes import UNREAD
from pipeline.runs.outcome.ledger import FeatureState, LedgerRow, read_ledger, write_ledger
from pipeline.runs.plan import Plan
from pipeline.training.forecast import forecast_data, read_last_ledger
from store.records.listings import Listing
from tests.pipeline.made_runs import assemble_run
from tests.store.stores import FINGERPRINTS, digest, make_store

SOUND = ("wav", "stft")
FACES = ("faces", "embeddings")


def make_run(tmp_path, *, new=frozenset(), vanished=frozenset(), fingerprints=FINGERPRINTS):
    """A run on the store's three clips; under other fingerprints it has nothing yet."""
    store = tmp_path / "store"
    assigned = Listing.read(store / "roots" / "runs-1.json").shards if store.exists() else make_store(store)
    rows = [Utterance(*name.split("/"), "train", 0.5, 0.1, None, None, None, Path("t.csv"), 2) for name in assigned]
    return assemble_run(
        tmp_path,
        store=store,
        dataset=Dataset(tuple(rows), ()),
        fingerprints=fingerprints,
        plan=Plan({}, assigned, frozenset(vanished), frozenset(), {}, new=frozenset(new)),
    )


@pytest.fixture
def run(tmp_path):
    return make_run(tmp_path)


def work_for(run, *stages):
    """Something to do for each shard."""
    return dict.fromkeys(run.plan.assigned.values(), stages)


def test_with_nothing_to_do_it_is_what_the_store_says(run):
    data = forecast_data(run, work_for(run))
    assert not data.is_forecast
    assert data.ledger == read_ledger(run)
    assert {name: row.picture for name, row in data.ledger.items()} == {"v/a": "ok", "v/b": "no_face", "w/a": "ok"}


def test_a_clip_that_was_read_before_is_taken_to_be_as_it_was(run):
    before = read_ledger(run)
    before["w/a"] = replace(before["w/a"], sound="no_stream", sound_message="there is no sound", num_stft_frames=0)
    write_ledger(before.values(), run.folder / "ledger.csv")
    data = forecast_data(run, work_for(run, *SOUND, *FACES))
    assert data.is_forecast
    row = data.ledger["w/a"]
    assert (row.sound, row.sound_message, row.num_stft_frames) == ("no_stream", "there is no sound", 0)
    assert (data.ledger["v/b"].picture, data.ledger["v/b"].num_faces) == ("no_face", 0)
    assert row.source_sha256 == digest("w/a")


def test_a_clip_that_was_never_read_is_taken_to_have_sound_and_a_face(tmp_path):
    run = make_run(tmp_path, fingerprints={**FINGERPRINTS, "stft": "ff", "embeddings": "ff"})
    data = forecast_data(run, work_for(run, *SOUND, *FACES))
    assert {(row.sound, row.picture) for row in data.ledger.values()} == {("ok", "ok")}
    assert all(row.has_sound and row.has_face for row in data.ledger.values())
    assert {row.source_sha256 for row in data.ledger.values()} == {UNREAD}
    assert data.ledger["v/a"].arousal == 0.5


def test_a_clip_of_a_new_shard_is_not_believed_to_be_as_it_was(tmp_path):
    run = make_run(tmp_path)
    rows = {name: replace(row, picture="decode_error", num_faces=0) for name, row in read_ledger(run).items()}
    write_ledger(rows.values(), run.folder / "ledger.csv")
    shard = run.plan.assigned["w/a"]
    data = forecast_data(make_run(tmp_path, new={shard}), work_for(run, *FACES))
    assert {name: row.picture for name, row in data.ledger.items()} == {
        "v/a": "decode_error",
        "v/b": "decode_error",
        "w/a": "ok",
    }


def test_only_what_is_to_be_made_is_forecast(run):
    data = forecast_data(run, work_for(run, *SOUND))
    now = read_ledger(run)
    assert {name: row.picture for name, row in data.ledger.items()} == {n: row.picture for n, row in now.items()}
    shard = run.plan.assigned["w/a"]
    some = forecast_data(run, {shard: FACES})
    assert some.is_forecast
    assert some.ledger["v/b"] == now["v/b"], "its shard has nothing to do"


def test_a_clip_whose_file_is_gone_keeps_what_it_has(tmp_path):
    run = make_run(tmp_path, vanished={"v/b"})
    data = forecast_data(run, work_for(run, *FACES))
    assert data.ledger["v/b"] == read_ledger(run)["v/b"]


def test_a_declared_feature_that_is_to_be_made_will_be_there(run, monkeypatch):
    row = LedgerRow("w/a", "train", "ok", "ok", features={"face_x": FeatureState("missing_file", 0, "")})
    monkeypatch.setattr("pipeline.training.forecast.read_ledger", lambda run: {"w/a": row})
    assert forecast_data(run, work_for(run, "face_x")).ledger["w/a"].features["face_x"].is_there
    assert not forecast_data(run, work_for(run, "stft")).ledger["w/a"].features["face_x"].is_there


@pytest.mark.parametrize(
    "text", [None, "", "utterance,split\nv/a,train\n", "utterance,split,sound,picture,num_faces\na,b,c,d,many\n"]
)
def test_a_last_ledger_that_cannot_be_read_says_nothing(run, text):
    if text is not None:
        run.folder.mkdir(parents=True)
        (run.folder / "ledger.csv").write_text(text)
    assert read_last_ledger(run) == {}
