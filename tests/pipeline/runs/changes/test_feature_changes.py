"""The phrases that say how the making of features has changed between two runs."""

from pipeline.runs.changes.feature_changes import FeatureChange, compare_features


def faces(version=5, **settings):
    return {"stage": "faces", "version": version, "settings": settings}


def test_each_setting_and_version_that_differs_is_named():
    before = {"stft": {"version": 1}, "faces": faces(detect_every=25, weights={"pnet": "ab", "rnet": "cd"})}
    now = {"stft": {"version": 1}, "faces": faces(6, detect_every=5, weights={"pnet": "ab", "rnet": "ef"})}
    assert list(compare_features(before, now, ["stft", "faces"])) == [
        FeatureChange("faces", "detect_every", 25, 5),
        FeatureChange("faces", "version", 5, 6),
        FeatureChange("faces", "weights rnet", "cd", "ef"),
    ]
    assert list(compare_features(before, now, ["stft"])) == []


def test_a_setting_that_came_later_had_its_former_value_before():
    assert list(compare_features({"faces": faces()}, {"faces": faces(speaker="largest")}, ["faces"])) == []
    (found,) = compare_features({"faces": faces()}, {"faces": faces(speaker="speaking")}, ["faces"])
    assert found.describe() == "[faces] speaker largest to speaking"


def test_a_stage_that_is_new_has_had_nothing_before():
    found = list(compare_features({}, {"sound_talk": {"version": 1, "settings": {"hop": 2}}}, ["sound_talk"]))
    assert [(change.key, change.before, change.now) for change in found] == [("hop", None, 2), ("version", None, 1)]
