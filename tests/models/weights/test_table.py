import dataclasses
import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from models.weights.commands import format_table, main
from models.weights.digests import compute_git_blob, compute_sha256, find_sidecar, read_digest, record_digest
from models.weights.table import (
    WEIGHTS,
    DamagedWeightsError,
    MissingWeightsError,
    ResolvedWeights,
    WeightsError,
    WrongDigestError,
    find_carried_weights,
    find_weights_entry,
    resolve_weights,
)

CONTENT = b"not really VGG-16"


@pytest.fixture
def vgg16(tmp_path, monkeypatch) -> Path:
    """A small file whose digest the table takes for VGG-16's."""
    entry = dataclasses.replace(WEIGHTS["vgg16"], sha256=hashlib.sha256(CONTENT).hexdigest())
    monkeypatch.setitem(WEIGHTS, "vgg16", entry)
    path = tmp_path / entry.file_name
    path.write_bytes(CONTENT)
    return path


def test_the_table_names_source_licence_and_one_digest_of_each():
    assert list(WEIGHTS) == ["mtcnn-pnet", "mtcnn-rnet", "mtcnn-onet", "sphereface20", "vgg16"]
    for entry in WEIGHTS.values():
        assert entry.source.startswith("https://")
        assert entry.licence
        assert (entry.sha256 is None) != (entry.archive_git_blob is None)
        digest = entry.sha256 or entry.archive_git_blob
        assert len(digest) == (64 if entry.sha256 else 40)


def test_random_is_an_explicit_value():
    assert resolve_weights("sphereface20", "random") == ResolvedWeights(
        "sphereface20", None, "random", is_random=True, verified=False
    )


def test_the_published_file_is_verified(vgg16):
    found = resolve_weights("vgg16", str(vgg16))
    assert found == ResolvedWeights("vgg16", vgg16, hashlib.sha256(CONTENT).hexdigest(), is_random=False, verified=True)


def test_a_missing_file_is_named_with_source_digest_and_command(tmp_path):
    with pytest.raises(MissingWeightsError) as caught:
        resolve_weights("vgg16", str(tmp_path / "vgg16-397923af.pth"))
    text = str(caught.value)
    assert str(tmp_path / "vgg16-397923af.pth") in text
    assert "https://download.pytorch.org/models/vgg16-397923af.pth" in text
    assert "sha256 397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0" in text
    assert f"valar weights fetch vgg16 --folder {tmp_path}" in text
    assert "'random'" in text
    assert isinstance(caught.value, FileNotFoundError)


def test_a_missing_file_of_another_name_says_what_to_set(tmp_path):
    with pytest.raises(MissingWeightsError, match=r"and set the path to .*sphere20a_20171020\.pth"):
        resolve_weights("sphereface20", str(tmp_path / "mine.pth"))


def test_another_file_than_the_published_one_is_refused(vgg16):
    vgg16.write_bytes(b"something else")
    with pytest.raises(WrongDigestError, match=hashlib.sha256(b"something else").hexdigest()):
        resolve_weights("vgg16", str(vgg16))


def test_a_file_changed_after_its_digest_was_kept_is_noticed(vgg16):
    resolve_weights("vgg16", str(vgg16))
    vgg16.write_bytes(CONTENT[::-1])  # the same size
    os.utime(vgg16, ns=(0, vgg16.stat().st_mtime_ns + 1))
    with pytest.raises(WrongDigestError, match=hashlib.sha256(CONTENT[::-1]).hexdigest()):
        resolve_weights("vgg16", str(vgg16))


def test_unknown_names_and_empty_settings_are_refused():
    with pytest.raises(WeightsError, match=r"no weights are called 'vgg19'; known: mtcnn-pnet, .*vgg16"):
        find_weights_entry("vgg19")
    with pytest.raises(WeightsError, match="the setting for weights 'vgg16' is empty"):
        resolve_weights("vgg16", " ")


def test_sphereface_is_verified_only_when_it_was_unpacked_from_the_checked_archive(tmp_path):
    path = tmp_path / "sphere20a_20171020.pth"
    torch.save({"weights": torch.zeros(1)}, path)
    assert resolve_weights("sphereface20", str(path)).verified is False
    record_digest(path, unpacked_from=WEIGHTS["sphereface20"].archive_git_blob)
    assert resolve_weights("sphereface20", str(path)).verified is True
    path.touch()  # another time, the same content
    assert resolve_weights("sphereface20", str(path)).verified is True
    torch.save({"weights": torch.ones(1)}, path)
    assert resolve_weights("sphereface20", str(path)).verified is False


def test_the_digest_is_read_from_the_sidecar_while_size_and_time_are_the_same(vgg16):
    digest, _ = read_digest(vgg16)
    kept = json.loads(find_sidecar(vgg16).read_text())
    find_sidecar(vgg16).write_text(json.dumps(kept | {"sha256": "kept"}))
    assert read_digest(vgg16)[0] == "kept"
    os.utime(vgg16, ns=(0, 1))
    assert read_digest(vgg16)[0] == digest


@pytest.mark.parametrize("text", ["", "{", "[]", '{"sha256": "x"}', "\0", "[" * 100_000])
def test_a_broken_sidecar_is_replaced(vgg16, text):
    find_sidecar(vgg16).write_text(text)
    assert read_digest(vgg16)[0] == hashlib.sha256(CONTENT).hexdigest()
    assert json.loads(find_sidecar(vgg16).read_text())["size"] == len(CONTENT)


def test_a_sidecar_whose_digest_is_no_text_is_replaced(vgg16):
    read_digest(vgg16)
    kept = json.loads(find_sidecar(vgg16).read_text())
    for wrong in ({"sha256": 5}, {"unpacked_from": ["x"]}):
        find_sidecar(vgg16).write_text(json.dumps(kept | wrong))
        assert read_digest(vgg16) == (hashlib.sha256(CONTENT).hexdigest(), None)


def test_another_user_may_read_a_sidecar(vgg16):
    read_digest(vgg16)
    vgg16.with_name("other").touch()
    assert find_sidecar(vgg16).stat().st_mode == vgg16.with_name("other").stat().st_mode


def test_a_folder_that_cannot_be_written_costs_only_time(vgg16, monkeypatch):
    def refuse(*_args, **_kwargs):
        raise PermissionError("read-only")

    monkeypatch.setattr("models.weights.digests.writing_whole", refuse)
    assert resolve_weights("vgg16", str(vgg16)).verified is True
    assert not find_sidecar(vgg16).exists()


def test_git_blob_ids(tmp_path):
    (tmp_path / "empty").write_bytes(b"")
    (tmp_path / "hello").write_bytes(b"hello\n")
    # Known from any git repository: the empty file, and `echo hello | git hash-object --stdin`.
    assert compute_git_blob(tmp_path / "empty") == "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"
    assert compute_git_blob(tmp_path / "hello") == "ce013625030ba8dba906f756967f9e9ca394464a"


def test_carried_weights_are_found_and_are_the_published_ones():
    for name in ("mtcnn-pnet", "mtcnn-rnet", "mtcnn-onet"):
        carried = find_carried_weights(name)
        assert compute_sha256(carried.path) == carried.sha256


def test_a_missing_package_is_named_with_the_command(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(MissingWeightsError, match=r"mtcnn==1\.0\.0 is not there; .*pip install mtcnn==1\.0\.0"):
        find_carried_weights("mtcnn-onet")


def test_weights_that_no_package_carries_are_named_with_the_command():
    with pytest.raises(WeightsError, match=r"no package carries weights 'vgg16'; .* fetch vgg16"):
        find_carried_weights("vgg16")


def test_planning_needs_no_heavy_import():
    code = "import sys, models.weights.table; print(sorted({'torch', 'numpy', 'mtcnn', 'py7zr'} & set(sys.modules)))"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"


def test_the_list_shows_what_is_here(vgg16, capsys):
    assert main(["list", "--folder", str(vgg16.parent)]) == 0
    lines = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()}
    assert "verified" in lines["vgg16"]
    assert "absent" in lines["sphereface20"]
    assert "verified" in lines["mtcnn-pnet"]
    assert "next:" in lines
    assert max(map(len, lines.values())) <= 80
    assert main(["list", "--folder", str(vgg16.parent), "-v"]) == 0
    assert f"  digest: {WEIGHTS['vgg16'].published_digest}\n" in capsys.readouterr().out
    vgg16.write_bytes(b"x")
    torch.save({}, vgg16.parent / "sphere20a_20171020.pth")
    table = format_table(vgg16.parent)
    assert "wrong digest" in table
    assert "origin unknown" in table
    (vgg16.parent / "sphere20a_20171020.pth").write_bytes(b"x")
    assert "no weights" in format_table(vgg16.parent)


@pytest.mark.parametrize("is_archive", [True, False])
def test_a_file_of_unknown_origin_has_to_be_one_of_tensors(tmp_path, is_archive):
    path = tmp_path / "sphere20a_20171020.pth"
    torch.save({"a": torch.zeros(1)}, path, _use_new_zipfile_serialization=is_archive)
    assert not resolve_weights("sphereface20", str(path)).verified
    for rubbish in (b"", b"<html>not found</html>", b"\x80\x02}"):
        path.write_bytes(rubbish)
        with pytest.raises(
            DamagedWeightsError, match=r"20171020\.pth is not a file of tensors .* remove it, then fetch"
        ):
            resolve_weights("sphereface20", str(path))


def test_the_module_is_a_command(tmp_path):
    command = [sys.executable, "-m", "models.weights", "fetch", "vgg19"]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    assert answer.returncode == 2
    assert "invalid choice: 'vgg19'" in answer.stderr
