"""How two reports differ in settings, clips and features."""

import json

import pytest

from pipeline.report.history.changes import Basis, describe_changes, find_data, find_settings
from pipeline.runs.outcome.ledger import LedgerRow, format_ledger


def basis(rows=("v/a",), features=None, **settings):
    ledger = format_ledger([LedgerRow(name, "train", "ok", "ok", 9, 9, source_sha256="ab") for name in rows])
    return Basis.of({"provenance": {"settings": settings, "features": features or {}}}, ledger)


def test_a_setting_that_an_earlier_release_did_not_name_had_its_default():
    one, other = basis(faces={"detect_every": 25}), basis(faces={"detect_every": 5, "speaker": "speaking"})
    assert find_settings(one, other) == {"[faces] detect_every": [25, 5]}
    assert find_settings(one, basis(faces={"detect_every": 25, "speaker": "largest"})) == {
        "[faces] speaker": ["speaking", "largest"]
    }
    assert find_settings(one, basis(faces={"detect_every": 25, "gone": 3})) == {"[faces] gone": [None, 3]}


def test_clips_and_the_making_of_features_are_told_once():
    def faces(version, every):
        return {"faces": {"stage": "faces", "version": version, "settings": {"detect_every": every}}}

    one = basis(features=faces(4, 25), faces={"detect_every": 25})
    other = basis(rows=("v/a", "v/b"), features=faces(5, 5), faces={"detect_every": 5})
    assert find_data(one, other) == ["1 clip added (v/b)", "find faces: version 4 to 5"]
    assert describe_changes(one, other) == [
        "[faces] detect_every 25 to 5",
        "1 clip added (v/b)",
        "find faces: version 4 to 5",
    ]


def test_settings_of_place_and_speed_are_no_change_of_results():
    one, other = basis(run={"threads": 2, "root": "a"}), basis(run={"threads": 8, "root": "b"})
    assert len(find_settings(one, other)) == 2
    assert describe_changes(one, other) == []


@pytest.mark.parametrize("ledger", [None, "no ledger\n"])
def test_without_a_ledger_it_is_not_known_which_clips_differ(ledger):
    (said,) = find_data(basis(), Basis.of({}, ledger))
    assert said == "it is not known which clips differ, because a report has no readable ledger.csv"


def test_it_is_read_from_a_report_s_folder(tmp_path):
    (tmp_path / "report.json").write_text(
        json.dumps({"models": {}, "notes": [], "provenance": {"settings": {"run": {"seed": 3}}}})
    )
    assert Basis.read(tmp_path) == Basis({"[run] seed": 3}, {}, None)
    (tmp_path / "report.json").write_text(json.dumps({"models": {}, "notes": [], "provenance": ["odd"]}))
    with pytest.raises(ValueError, match=r"report.json.provenance is a list, it must be an object"):
        Basis.read(tmp_path)
