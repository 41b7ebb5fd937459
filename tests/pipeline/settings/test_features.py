"""What a section [features.NAME] may contain, and which of its options are in the fingerprint."""

import re

import pytest

from pipeline.errors import UserError
from pipeline.runs import fingerprints
from pipeline.runs.fingerprints import compute_fingerprint, describe_model
from pipeline.settings.feature_options import FEATURE_OPTIONS
from pipeline.settings.features import BUILT_IN, read_feature

CROP = {"input": "crop", "model": "a.onnx"}
SOUND = {"input": "waveform", "model": "a.onnx", "hop_seconds": "0.1"}


@pytest.mark.parametrize(
    ("name", "options", "fault"),
    [
        ("mini", {**CROP, "model": "mine.pt2"}, "needs sha256, because loading such a file can run code"),
        ("mini", {"model": "a.onnx"}, "needs input"),
        ("mini", {"input": "crop"}, "needs input"),
        ("stft", CROP, "has a reserved name"),
        ("Mini", CROP, "is not a valid name for a feature"),
        ("../x", CROP, "is not a valid name for a feature"),
        ("mini", {**CROP, "hop_seconds": "1"}, "hop_seconds has no meaning with input = crop"),
        ("mini", {**CROP, "margin": "1"}, "margin has no meaning with input = crop"),
        ("mini", {**SOUND, "size": "2x2"}, "size has no meaning with input = waveform"),
        ("mini", {**CROP, "size": "1x"}, "size = 1x must be width x height"),
        ("mini", {**CROP, "deviation": "0"}, "deviation = 0 must be one number or three above 0"),
        ("mini", {**CROP, "mean": "1,2"}, "mean = 1,2 must be one number or three"),
        ("mini", {**CROP, "mean": "nan"}, "mean = nan must be"),
        ("mini", {**SOUND, "hop_seconds": "0"}, "hop_seconds must be above 0"),
        ("mini", {**CROP, "sha256": "abc"}, "sha256 = abc must be 64 of"),
        ("mini", {**CROP, "precision": "bfloat16"}, "precision = bfloat16 is for .pt2 files"),
        ("speech", {"input": "crop", "model": "voice_activity"}, "allows only input = waveform and no other option"),
    ],
)
def test_a_fault_is_a_sentence(name, options, fault):
    with pytest.raises(ValueError, match=rf"^\[features.{re.escape(name)}\] .*{re.escape(fault)}"):
        read_feature(f"features.{name}", options)


@pytest.mark.parametrize("model", BUILT_IN)
def test_networks_that_come_along_take_a_whole_sound(model):
    feature = read_feature("features.mine", {"input": "waveform", "model": model})
    assert (feature.stage, feature.kind, feature.is_whole) == ("sound_mine", "code", True)
    assert feature.hop_seconds == BUILT_IN[model].hop_seconds


@pytest.mark.parametrize(
    ("model", "code"),
    [
        ("voice_activity", "e04b7b1c23327e1b55399d875af83467692bad6c24eb9d76bde98a786c991734"),
        ("egemaps", "5393f9c92b290606854031cc589aaafcc42086764cb403c203997686b8e2ca9e"),
    ],
)
def test_rows_that_an_earlier_version_computed_are_known_by_the_code_of_then(model, code, tmp_path, monkeypatch):
    """Another file, since an edited comment must not compute a feature again."""
    (tmp_path / "other.py").write_text("# a comment was edited\n")
    monkeypatch.setattr(fingerprints, "find_source", lambda model: tmp_path / "other.py")
    monkeypatch.setattr(fingerprints, "_find_version_of", lambda name, where: "1.0")
    assert describe_model(read_feature("features.mine", {"input": "waveform", "model": model}))["code"] == code


def test_each_option_that_changes_the_rows_is_in_the_fingerprint_and_no_other():
    other = {
        **{"input": "face_region", "model": "b.onnx", "size": "2x2", "colours": "bgr", "layout": "nhwc", "mean": "1"},
        **{"deviation": "2", "margin": "1", "sample_rate": "8000", "window_seconds": "9", "hop_seconds": "9"},
        **{"precision": "bfloat16", "sha256": "0" * 64, "packages": "numpy", "batch_size": "7"},
    }
    assert other.keys() == FEATURE_OPTIONS.keys()
    changing = set()
    for base in (CROP | {"model": "a.pt2", "sha256": "1" * 64}, CROP | {"input": "face_region"}, SOUND):
        before = compute_fingerprint(read_feature("features.a", base).describe())
        for option, value in other.items():
            try:
                feature = read_feature("features.a", {**base, option: value})
            except ValueError:
                continue  # this option is not allowed for this input
            if compute_fingerprint(feature.describe()) != before:
                changing.add(option)
    # `describe_model` covers the model, its digest and the packages' versions.
    assert changing - {"model"} == other.keys() - {"model", "sha256", "packages", "batch_size"}


def test_the_network_is_known_by_its_bytes_its_code_and_versions(tmp_path, monkeypatch):
    path = tmp_path / "a.onnx"
    path.write_bytes(b"one")
    feature = read_feature("features.a", {**CROP, "model": str(path), "packages": "numpy"})
    first = describe_model(feature)
    assert first.keys() == {"weights", "packages"}
    path.write_bytes(b"three")
    assert describe_model(feature)["weights"] != first["weights"]
    trusted = read_feature("features.a", {**CROP, "model": str(path), "sha256": first["weights"]})
    with pytest.raises(UserError, match="this is not the file that you trusted"):
        describe_model(trusted)
    code = tmp_path / "mine_3b.py"
    code.write_text("1")
    monkeypatch.syspath_prepend(tmp_path)
    feature = read_feature("features.a", {**CROP, "model": "mine_3b:make"})
    before = describe_model(feature)
    code.write_text("22")
    after = describe_model(feature)["code"]
    assert after != before["code"]
    trusted = {**CROP, "model": "mine_3b:make"}
    assert describe_model(read_feature("features.a", {**trusted, "sha256": after}))["code"] == after
    with pytest.raises(
        UserError, match=r"mine_3b:make, in .*mine_3b.py, has the sha256 .*; this is not the file that you"
    ):
        describe_model(read_feature("features.a", {**trusted, "sha256": before["code"]}))
    with pytest.raises(
        UserError, match=r"needs the package no-such-3b, which is not installed; pip install no-such-3b"
    ):
        describe_model(read_feature("features.a", {**CROP, "model": "mine_3b:make", "packages": "no-such-3b"}))
