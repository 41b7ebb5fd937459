"""A report may come from a colleague: what its JSON says is checked before anything uses it."""

import copy
import json
import os
from pathlib import Path

import pytest

from pipeline.__main__ import main
from pipeline.errors import UserError
from pipeline.prediction.predictors import find_newest_checkpoints
from pipeline.report.tables import format_tables
from pipeline.runs.outcome.report_json import open_report_json, read_report_json
from tests.pipeline.report.reports import make_content, write_made_report


@pytest.fixture
def folder(tmp_path):
    write_made_report(tmp_path / "report")
    return tmp_path / "report"


def test_a_whole_report_is_read_and_all_its_tables_are_printed(folder, capsys):
    assert read_report_json(folder / "report.json") == make_content()
    assert main(["report", str(folder)]) == 0
    out = capsys.readouterr().out
    for title in ("CCC on validation", "epochs chosen on", "CCC of each seed alone (0, 1)", "CCC over 5 folds"):
        assert title in out
    assert find_newest_checkpoints(_as_latest(folder)) == [Path("joint-1"), Path("joint-2")]


def _as_latest(folder):
    (folder.parent / "latest").symlink_to(folder)
    return folder.parent


def _set(content, path, value):
    *way, last = path.split("/")
    for name in way:
        content = content[int(name) if name.isdigit() else name]
    if value is None:
        del content[last]
    else:
        content[last] = value


HOSTILE = [
    ("models", [], "report.json.models is a list, it must be an object"),
    ("models/vnet/validation", 3, "report.json.models.vnet.validation is 3, it must be an object"),
    ("models/vnet/validation/scored", None, "report.json.models.vnet.validation has no scored"),
    ("models/vnet/validation/valence", None, "report.json.models.vnet.validation has no valence"),
    ("models/vnet/validation/arousal/ccc", "0.5", "vnet.validation.arousal.ccc is '0.5', it must be a number"),
    ("models/vnet/validation/total_ccc", 10**400, "total_ccc is '1000"),
    ("models/vnet/validation/listed", -1, "listed is -1, it must be a whole number"),
    ("models/vnet/a b", {"listed": 1, "scored": 0}, "report.json.models.vnet has the name 'a b'"),
    ("notes", "note", "report.json.notes is 'note', it must be a list"),
    ("notes", [{}], "report.json.notes[0] is a dict, it must be text"),
    ("ensemble/seeds", {"0": 0}, "report.json.ensemble.seeds is a dict, it must be a list"),
    ("ensemble/models/vnet/validation/mean", 1, "ensemble.models.vnet.validation.mean is 1, it must be an object"),
    ("cross_validation/models/vnet/pooled/scored", 0.5, "pooled.scored is 0.5, it must be a whole number"),
    ("selection/clips", None, "does not say how many clips chose the epochs"),
    ("selection/other/models/anet", {"test": None}, "other.models.anet.test is None, it must be an object"),
    ("models/vnet/validation/apart", [1], "apart is a list, it must be an object"),
    ("provenance/settings", 7, "report.json.provenance.settings is 7, it must be an object"),
    ("coverage/train", [], "report.json.coverage.train is a list, it must be an object"),
    ("official_splits", "train", "report.json.official_splits is 'train', it must be a list"),
]


@pytest.mark.parametrize(("path", "value", "message"), HOSTILE)
def test_what_has_another_type_is_one_sentence(folder, capsys, path, value, message):
    content = make_content()
    _set(content, path, value)
    (folder / "report.json").write_text(json.dumps(content))
    for words in (["report", str(folder)], ["report", "--compare", str(folder), str(folder)]):
        assert main(words) == 2
        out, err = capsys.readouterr()
        assert out == ""
        assert err.count("\n") == 1
        assert f"{folder} cannot be read as a report: " in err
        assert message in err


@pytest.mark.parametrize(
    "text", ["", "[]", "[" * 100_000, '{"a":' * 100_000, "NaN", '{"models": NaN}', "1" * 10_000, "\xff"]
)
def test_what_is_no_object_of_json_is_one_sentence(folder, capsys, text):
    (folder / "report.json").write_bytes(text.encode("latin-1"))
    assert main(["report", str(folder)]) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert "cannot be read as a report" in err


def test_a_pipe_in_its_place_is_not_waited_for(folder, capsys):
    (folder / "report.json").unlink()
    os.mkfifo(folder / "report.json")
    assert main(["report", str(folder)]) == 2
    assert "it is not a file" in capsys.readouterr().err


def test_a_model_s_name_leads_nowhere(folder, capsys):
    (folder.parent / "victim-test.detail.csv").write_text("secret\n")
    content = make_content()
    content["models"]["../../victim"] = {"test": {"listed": 1, "scored": 0}}
    (folder / "report.json").write_text(json.dumps(content))
    assert main(["report", str(folder)]) == 2
    assert "report.json.models has the name '../../victim'" in capsys.readouterr().err


def test_no_text_of_a_report_steers_a_terminal(folder, capsys):
    content = make_content()
    content["notes"] = ["\x1b[2Jnote\n\x9b1m\u202e"]
    content["provenance"]["settings"] = {"run": {"\x1b]0;x": "\x1b[31m"}}
    (folder / "report.json").write_text(json.dumps(content))
    other = folder.parent / "other"
    write_made_report(other)
    for words in (["report", str(folder)], ["report", str(folder), "--json"]):
        assert main(words) == 0
    for more in ([], ["--json"]):
        assert main(["report", "--compare", str(folder), str(other), *more]) == 0
    out = capsys.readouterr().out
    assert "note" in out
    assert not {"\x1b", "\x9b", "\u202e"} & set(out)


def test_a_report_of_an_earlier_release_has_less_in_it():
    content = make_content()
    for name in ("official_splits", "selection", "ensemble", "cross_validation", "baselines"):
        del content[name]
    for ends in ("_low", "_high"):
        del content["models"]["vnet"]["validation"][f"total_ccc{ends}"]
    assert "VNet, this run" in format_tables(copy.deepcopy(content))


def test_one_s_own_damaged_report_says_what_to_remove(folder):
    (folder / "report.json").write_text("{}")
    with pytest.raises(UserError, match=r"report.json cannot be read: report.json has no models; remove .*report, and"):
        open_report_json(folder / "report.json")
    root = _as_latest(folder)
    with pytest.raises(UserError, match=r"latest/report.json cannot be read"):
        find_newest_checkpoints(root)
    content = make_content()
    del content["ensemble"]
    content["provenance"]["checkpoints"] = {"anet": "x"}
    (folder / "report.json").write_text(json.dumps(content))
    with pytest.raises(UserError, match=r"does not name Joint's checkpoint; name a --checkpoint"):
        find_newest_checkpoints(root)
