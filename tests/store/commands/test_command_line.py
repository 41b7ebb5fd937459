"""`python -m store`: what it prints, to the letter, and its exit codes."""

import json
import os

import h5py
import matplotlib.image
import numpy as np
import pytest

from store.__main__ import main
from store.commands import tend
from store.errors import StoreInUseError
from store.layout import find_stage_sets, shard_path, wav_path
from store.lock import locked
from store.records.listings import Listing
from store.records.plans import plan_of
from store.shard.sidecar import compute_sidecar, read_sidecar, write_sidecar
from tests.store.stores import FINGERPRINTS, member, write_shard


@pytest.fixture
def command(store, capsys):
    """Run a command on a store of one's own; gives exit code, output and errors."""

    def run(name, *arguments):
        code = main([name, str(store[0]), *map(str, arguments)])
        printed = capsys.readouterr()
        return code, printed.out.replace(str(store[0]), "STORE"), printed.err.replace(str(store[0]), "STORE")

    return run


def rewrite(path, change):
    places = read_sidecar(path).places
    with h5py.File(path, "r+") as file:
        change(file)
    write_sidecar(path, compute_sidecar(path, places))


def test_ls(store, command):
    for hour, stage_set in enumerate(find_stage_sets(store[0])):
        for path in stage_set.shards.values():
            os.utime(path, (3600 * hour, 3600 * hour))
    code, out, _ = command("ls", "-v")
    assert code == 0
    lines = [line.split() for line in out.splitlines()]
    assert out.splitlines()[0] == (
        "stage       fingerprint   shards  utterances  not ok  rows      size  made (UTC)        runs"
    )
    assert [line[:6] for line in lines[1::2]] == [
        ["embeddings", "e4bed0000001", "2", "3", "1", "8"],
        ["crops", "e1", "2", "3", "1", "8"],
        ["faces", "d1", "2", "3", "1", "8"],
        ["frames", "c1", "2", "3", "0", "60"],
        ["stft", "b1", "2", "3", "0", "60"],
        ["wav", "0a", "2", "3", "0", "9600"],
    ]
    assert lines[1][8:] == ["1970-01-01", "05:00", "runs-1"]
    assert out.splitlines()[2] == "    of embeddings"
    brief = command("ls")[1].splitlines()
    assert brief[0] == "stage       set     utterances  not ok  rows      size  made        runs"
    assert brief[1].split() == ["embeddings", "e4bed0", "3", "1", "8", *lines[1][6:8], "1970-01-01", "1"]
    assert brief[7:] == ["-v shows settings, shards and runs of each set"]


def test_ls_as_json(store, command):
    found = json.loads(command("ls", "--json")[1])
    wav = next(stage_set for stage_set in found if stage_set["stage"] == "wav")
    files = [path for path in (store[0] / "wav").rglob("*") if path.is_file()]
    assert wav["num_bytes"] == sum(path.stat().st_size for path in files)
    assert (wav["runs"], wav["settings"], wav["unreadable"]) == (["runs-1"], {"of": "wav"}, 0)


def test_ls_of_dead_and_damaged_sets(store, command):
    (store[0] / "stft" / "b1").rename(store[0] / "stft" / "b0")
    path = shard_path(store[0], "faces", "d1", store[1]["w/a"])
    path.write_bytes(path.read_bytes()[:-1])
    brief = command("ls")[1].splitlines()
    assert next(line for line in brief if line.startswith("stft")).endswith("  none")
    assert brief[-3:-1] == [
        "1 shard cannot be read: `valar store verify` says why",
        "no run needs 1 set: `valar store gc` removes it",
    ]
    out = command("ls", "-v")[1]
    assert next(line for line in out.splitlines() if line.startswith("stft")).endswith("  none: gc removes it")
    assert "\n    1 shard cannot be read: `valar store verify` says why\n" in out


def test_show(store, command):
    shard = store[1]["v/b"]
    stft = shard_path(store[0], "stft", "b1", shard)

    def change(file):
        file["stft"][30:] = 0
        file["stft"][30, 0, 0] = 0.5
        file["stft"][31, 0, 0] = -0.25

    rewrite(stft, change)
    assert "  dataset  shape         unit    min  max       mean       std\n" in command("show", "v/b")[1]
    assert "settings" not in command("show", "v/b")[1]
    code, out, _ = command("show", "v/b", "-v")
    assert code == 0
    digest = "0" * 58 + "762f62"
    head = [
        f"v/b  (run runs-1, shard {shard})",
        "source: 1263 bytes, changed 2001-09-09 01:46 UTC",
        f"sha256: {digest}",
        "",
    ]
    assert out.splitlines()[:4] == head
    assert (
        "stft: ok\n"
        "  dataset  shape         type     unit    min  max       mean       std\n"
        "  stft     20 x 257 x 2  float32  1     -0.25  0.5  2.432e-05  0.005513\n"
        "  settings: of stft\n"
        f"  STORE/stft/b1/{shard}.h5\n"
    ) in out
    assert "faces: no_face: no face of 40 pixels or more in 20 frames\n  num_frames 20, num_faces 0" in out
    assert "  box          0 x 4      float32  pixel\n" in out
    value = json.loads(command("show", "v/b", "--json")[1])
    assert list(value["stages"]) == ["wav", "stft", "frames", "faces", "crops", "embeddings"]
    assert value["stages"]["stft"]["rows"][0]["maximum"] == 0.5
    assert value["stages"]["frames"]["provenance"]["packages"] == {"numpy": "2"}


def test_show_of_an_unknown_utterance(command):
    code, out, err = command("show", "v/c")
    assert (code, out) == (2, "")
    assert err == "'v/c' is not among the 3 utterances of STORE; the nearest names are v/b, v/a\n"


@pytest.mark.parametrize("name", ["v/a", "v/b"])
def test_show_draws(tmp_path, command, name):
    assert command("show", name, "--plot", tmp_path / "p.png")[0] == 0
    picture = matplotlib.image.imread(tmp_path / "p.png")
    assert picture.shape[:2] == (700, 1000)
    assert picture[..., :3].std() > 0.1


def test_why(store, command):
    root, assigned = store
    shard = assigned["v/b"]
    shard_path(root, "embeddings", "e4bed0000001", shard).unlink()
    assert command("why", "v/b")[1].splitlines() == [
        f"v/b is in the shard {shard} of the run runs-1",
        "wav: ok, 3200 rows from row 4800",
        "stft: ok, 20 rows from row 30",
        "frames: ok, 20 rows from row 30",
        "faces: no_face (no face of 40 pixels or more in 20 frames), 0 rows from row 5",
        "crops: no_face (no face of 40 pixels or more in 20 frames), 0 rows from row 5",
        f"embeddings: not made yet: STORE/embeddings/e4bed0000001/{shard}.h5 is missing; the next run makes it",
    ]


def test_why_says_what_gc_would_do(store, command):
    root, _ = store
    changed = plan_of([member("v/a")._replace(size=5), member("v/z")])
    changed.write(root)
    write_shard(root, "stft", changed.shard, {"v/a": (4, 0), "v/z": (4, 0)})
    garbage = command("gc", "--dry-run")[1]
    assert f"stft/b1/{changed.shard}.h5: no utterance that a run lists" in garbage
    assert (
        command("why", "v/a")[1].splitlines()[-1]
        == f"older rows of it are not used: gc removes the shard {changed.shard}"
    )
    assert (
        f"an earlier run has planned it: gc removes the shard {changed.shard}" in command("why", "v/z")[1].splitlines()
    )
    other = Listing("other-2", FINGERPRINTS, {"v/z": changed.shard}, {"v/z": (1, 2)}).write(root)
    os.utime(other, (1, 1))
    assert "nothing to remove" in command("gc", "--dry-run")[1]
    said = (
        f"older rows of it are not used: the shard {changed.shard} has other clips of other-2; gc removes nothing of it"
    )
    assert command("why", "v/a")[1].splitlines()[-1] == said
    assert command("why", "v/z")[1].splitlines()[0] == f"v/z is in the shard {changed.shard} of the run other-2"
    write_shard(root, "embeddings", changed.shard, {"v/a": (4, 0), "v/z": (4, 0)}, fingerprint="0dd")
    assert f"embeddings/0dd/{changed.shard}.h5: no run has these settings" in command("gc", "--dry-run")[1]
    assert "; made under other settings (0dd: gc removes it)" in command("why", "v/z")[1].splitlines()[-1]
    assert "gc removes 1 of its 3 files" in command("why", "v/a")[1].splitlines()[-1]


def test_why_of_a_damaged_shard_an_unlisted_and_an_erased_clip(store, command):
    root, assigned = store
    path = shard_path(root, "stft", "b1", assigned["w/a"])
    path.write_bytes(path.read_bytes()[:-1])
    lines = command("why", "w/a")[1].splitlines()
    assert lines[2].startswith("stft: cannot be read: STORE/stft/b1/")
    assert command("why", "v/aa")[1].splitlines() == [
        "the run runs-1 does not list v/aa, or has found no file of that name",
        "the nearest name is v/a",
    ]
    assert command("erase", "v/a")[0] == 0
    assert command("why", "v/a")[1] == "v/a was erased from this store; later runs refuse it (erased.json)\n"


def test_verify(store, command):
    size = sum(path.stat().st_size for path in store[0].rglob("*.h5"))
    assert command("verify") == (0, f"12 shards, {size / 1000:.1f} kB: no fault\n", "")
    wav = wav_path(store[0], FINGERPRINTS["wav"], store[1]["w/a"], "w/a")
    wav.write_bytes(wav.read_bytes()[:-2])
    code, out, _ = command("verify")
    name = wav.relative_to(store[0])
    assert code == 1
    told = f"{name}: wav: it has changed since it was written: w/a"
    assert out == f"{told}\n12 shards, {size / 1000:.1f} kB: 1 fault in 1 file\n"
    value = json.loads(command("verify", "--json")[1])
    assert value["faults"][0]["utterances"] == ["w/a"]


def test_verify_repairs_and_still_says_that_there_was_a_fault(store, command):
    path = shard_path(store[0], "embeddings", "e4bed0000001", store[1]["w/a"])
    path.write_bytes(path.read_bytes()[:-1])
    code, out, _ = command("verify", "--repair")
    name = str(path.relative_to(store[0]))
    assert code == 1
    assert out.splitlines()[1:3] == [f"set aside: {name}", f"set aside: {name}.sums"]
    assert out.splitlines()[-1] == "the next run makes them again"
    assert command("verify")[0] == 0


def test_a_repair_holds_the_lock_while_it_looks(store, command, monkeypatch):
    """What a run writes while it looks would be taken for faults, and moved away."""
    refused = []

    def look(root, checked):
        with pytest.raises(StoreInUseError), locked(root):
            pass
        refused.append(root)
        return iter(())

    monkeypatch.setattr(tend, "verify_store", look)
    assert command("verify", "--repair")[0] == 0
    assert refused == [store[0]]
    with locked(store[0]):
        assert command("verify", "--repair")[0] == 2


def test_diff(store, command, tmp_path):
    other = tmp_path / "other"
    assert command("diff", store[0])[:2] == (0, "no difference; 3 utterances in both\n")
    other.symlink_to(store[0])
    import shutil

    copy = tmp_path / "copy"
    shutil.copytree(store[0], copy)

    def change(file):
        file["embedding"][1] += 0.5
        file["embedding"][3, 7] += 0.25

    rewrite(shard_path(copy, "embeddings", "e4bed0000001", store[1]["v/a"]), change)
    shard_path(copy, "stft", "b1", store[1]["w/a"]).unlink()
    listing = copy / "roots" / "runs-1.json"
    assert main(["erase", str(copy), "v/b"]) == 0
    assert listing.exists()
    code, out, _ = command("diff", copy)
    assert code == 1
    assert out.splitlines()[-4:] == [
        "v/b: missing: it is there / it is missing",
        "stft: w/a: missing: it is there / it is missing",
        "embeddings: v/a: embedding: 2 of 5 rows / by at most 0.5 1",
        "3 differences (1 in the listing, 1 in stft, 1 in embeddings); 2 utterances in both",
    ]


def test_gc(store, command):
    (store[0] / "stft" / "b1").rename(store[0] / "stft" / "b0")
    before = sorted(store[0].rglob("*"))
    out = command("gc", "--dry-run")[1]
    shards = sorted(set(store[1].values()))
    assert [line.partition(" (")[0] for line in out.splitlines()[:2]] == [
        f"stft/b0/{shard}.h5: no run has these settings any more" for shard in shards
    ]
    assert out.splitlines()[2].startswith("2 files, ")
    assert out.endswith(" kB would be removed\n")
    assert sorted(path for path in store[0].rglob("*") if path.name != ".lock") == before
    assert command("gc")[1].endswith(" kB removed\n")
    assert command("gc")[1] == "nothing to remove: a run needs every file\n"


def test_compact(store, command):
    old = ", ".join(sorted(set(store[1].values())))
    out = command("compact", "--dry-run")[1]
    new = out.partition("-> ")[2][:16]
    assert out == f"{old} -> {new} (3 utterances)\n2 shards would become 1\n"
    assert command("compact")[1] == f"{old} -> {new} (3 utterances)\n2 shards became 1\n"
    assert command("compact")[1] == "nothing to merge\n"


def test_a_folder_that_is_no_store(tmp_path, capsys):
    for name, arguments in (("ls", []), ("show", ["v/a"]), ("verify", []), ("gc", [])):
        assert main([name, str(tmp_path / "nothing"), *arguments]) == 2
        assert str(tmp_path / "nothing") in capsys.readouterr().err


def test_numbers_of_an_utterance_agree_with_numpy(store, command):
    rows = np.asarray(json.loads(command("show", "v/a", "--json")[1])["stages"]["faces"]["rows"])
    box = next(summary for summary in rows if summary["dataset"] == "box")
    with h5py.File(shard_path(store[0], "faces", "d1", store[1]["v/a"])) as file:
        values = file["box"][:5].astype(float)
    assert box["mean"] == pytest.approx(values.mean())
    assert box["std"] == pytest.approx(values.std())
    assert (box["minimum"], box["maximum"]) == (values.min(), values.max())
