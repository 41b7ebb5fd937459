"""JSON files of a store from elsewhere: what they say is checked before anything uses it."""

import hashlib
import json
import shutil
from pathlib import Path

import pytest

from store import FeatureStore
from store.__main__ import main
from tests.store.hostile.attacks import edit, run

ROOT = Path(__file__).resolve().parents[3]


def test_a_plan_whose_member_leads_outside_is_used_by_no_command(store, outside, tmp_path, capsys):
    root = store[0]
    member = ["../../../../outside/victim", "v/a.mp4", 1, 2]
    shard = hashlib.sha256(json.dumps([[member[0], *member[2:]]]).encode()).hexdigest()[:16]
    (root / "shards" / f"{shard}.json").write_text(json.dumps({"format_version": 1, "members": [member]}))
    for command in (("gc",), ("compact",), ("erase", "v/a")):
        code, _, err = run(capsys, command[0], root, *command[1:])
        assert code == 2
        assert f"{shard}.json is damaged ('../../../../outside/victim' is not a valid name of an utterance" in err
    code, out, _ = run(capsys, "verify", root)
    assert code == 1
    assert f"shards/{shard}.json: plan: " in out


def test_a_listing_with_an_absolute_run_is_never_written_to(store, outside, capsys):
    root = store[0]
    edit(root / "roots" / "runs-1.json", run=str(outside / "victim"))
    for command in (("erase", "v/a"), ("compact",), ("ls",), ("why", "v/a")):
        code, _, err = run(capsys, command[0], root, *command[1:])
        assert code == 2
        assert "victim' is not a valid name of a run" in err


def test_a_listing_is_rewritten_where_it_lies_whatever_run_it_names(store, outside):
    root = store[0]
    shutil.copy(root / "roots" / "runs-1.json", root / "roots" / "copy.json")
    edit(root / "roots" / "runs-1.json", runs=str(outside))
    assert main(["erase", str(root), "v/b"]) == 0
    assert sorted(path.name for path in (root / "roots").iterdir()) == ["copy.json", "runs-1.json"]
    assert list(FeatureStore(root, run="copy")) == list(FeatureStore(root, run="runs-1")) == ["v/a", "w/a"]
    assert FeatureStore(root, run="runs-1").listing.runs == str(outside)


@pytest.mark.parametrize("format_", ["npz", "csv", "csd"])
def test_an_export_writes_nothing_outside_of_its_folder(store, outside, tmp_path, capsys, format_):
    listing = store[0] / "roots" / "runs-1.json"
    listing.write_text(listing.read_text().replace('"v/a"', '"../outside/victim"'))
    code, _, err = run(capsys, "export", store[0], "--to", format_, tmp_path / "export")
    assert code == 2
    assert "'../outside/victim' is not a valid name of an utterance" in err
    assert not (tmp_path / "export").exists()


@pytest.mark.parametrize("where", ["shards", "fingerprints"])
def test_ids_that_lead_outside_are_refused(store, outside, capsys, where):
    path = store[0] / "roots" / "runs-1.json"
    value = json.loads(path.read_text())
    edit(path, **{where: {"stft": "../../outside"} if where == "fingerprints" else ["../../outside"] * 2})
    assert len(value["shards"]) == 2
    code, _, err = run(capsys, "show", store[0], "v/a")
    assert code == 2
    assert "'../../outside' is not a valid name of an id" in err


@pytest.mark.parametrize(
    "content",
    [b"[" * 100_000, b'{"a":' * 100_000, b"[1]", b'"x"', b"\xff", b"", b'{"format_version": 1e999}', b"1" * 10_000],
)
@pytest.mark.parametrize("name", ["erased.json", "roots/runs-1.json", "shards/0123456789abcdef.json"])
def test_json_of_the_wrong_kind_is_one_sentence(store, capsys, name, content):
    (store[0] / name).write_bytes(content)
    code, out, err = run(capsys, "verify", store[0])
    assert (code, err) == (1, "")
    assert f"\n{name}: " in f"\n{out}"
    code, _, err = run(capsys, "erase", store[0], "v/a")
    assert code == 2
    assert err.count("\n") == 1
    assert name in err


@pytest.mark.parametrize(
    "value",
    [
        {"salt": 5, "erased": []},
        {"salt": "a", "erased": [["x", "video", "2020-01-01"]]},
        {"salt": "a", "erased": [["0" * 64, "name", "2020-01-01"]]},
        {"salt": "a", "erased": [["0" * 64, "video", "\x1b[2J"]]},
        {"salt": "a", "erased": [["0" * 64, "video"]]},
    ],
)
def test_a_damaged_list_of_the_erased_is_a_fault_that_repair_leaves_alone(store, capsys, value):
    path = store[0] / "erased.json"
    path.write_text(json.dumps({"format_version": 1, **value}))
    code, out, _ = run(capsys, "verify", store[0], "--repair")
    assert code == 1
    assert "erased.json: erased: " in out
    assert "left as it is: erased.json: it says which utterances the store must refuse" in out
    assert path.exists()
    assert run(capsys, "why", store[0], "v/a")[0] == 2
