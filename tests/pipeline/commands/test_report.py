import json
from dataclasses import replace

import numpy as np
import pytest

from models.scores.ccc import compute_ccc
from pipeline.__main__ import main
from pipeline.commands.report import compare_reports, read_report
from pipeline.errors import UserError
from pipeline.report.report_files import ModelPredictions, SplitListing, build_report, write_report
from pipeline.runs.outcome.ledger import LedgerRow, format_ledger

U = 16
VIDEOS = [f"v{i // 4}" for i in range(U)]
UTTERANCES = [f"{i}.mp4" for i in range(U)]
NAMES = [f"v{i // 4}/{i}" for i in range(U)]
LABELS = np.random.default_rng(0).uniform(-1, 1, (U, 2)).round(3)


def make_report(seed, *, unseen=(), labels=LABELS, epochs=30, rows=slice(None)):
    values = 0.5 * LABELS + np.random.default_rng(seed).normal(0, 0.2, (U, 2))
    values[list(unseen)] = np.nan
    names = NAMES[rows]
    listing = SplitListing(
        "test",
        names,
        VIDEOS[rows],
        UTTERANCES[rows],
        labels[rows],
        ["ok"] * len(names),
        ["ok"] * len(names),
        groups=names,
    )
    return build_report(
        [ModelPredictions("vnet", "test", names, values[rows], ["vnet"] * len(names))],
        [listing],
        training_mean=np.zeros(2),
        provenance={"settings": {"vnet": {"epochs": epochs, "loss": "mse"}}},
        notes=[f"note {seed}"],
    )


@pytest.fixture
def folders(tmp_path):
    write_report(tmp_path / "a", make_report(1, unseen=[0]))
    write_report(tmp_path / "b", make_report(2, unseen=[5], epochs=20))
    return tmp_path / "a", tmp_path / "b"


def test_a_report_is_read_as_it_was_written(folders):
    written, found = make_report(1, unseen=[0]), read_report(folders[0])
    assert found.content == written.content
    assert found.rows == written.rows


def test_changed_data_are_named_where_the_settings_are_the_same(tmp_path, capsys):
    row = LedgerRow("v0/0", "test", "ok", "ok", 3, 3, source_sha256="ab", arousal=0.2, valence=0.1)
    ledgers = [[row], [replace(row, arousal=0.3), replace(row, utterance="v9/9")]]
    for name, rows in zip("ab", ledgers, strict=True):
        report = make_report(1)
        report.files["ledger.csv"] = format_ledger(rows)
        write_report(tmp_path / name, report)
    write_report(tmp_path / "old", make_report(1))
    assert main(["report", "--compare", str(tmp_path / "a"), str(tmp_path / "b")]) == 0
    said = capsys.readouterr().out
    assert said.endswith(
        "the settings are the same\n\nclips and features that differ (A to B)\n  1 clip added (v9/9)\n"
        "  1 label changed (v0/0: arousal 0.2 to 0.3)\n"
    )
    assert main(["report", "--compare", str(tmp_path / "a"), str(tmp_path / "a"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["data"] == []
    assert main(["report", "--compare", str(tmp_path / "a"), str(tmp_path / "old")]) == 0
    assert "it is not known which clips differ" in capsys.readouterr().out


def test_compares_what_both_could_see(folders):
    one, other = (read_report(folder) for folder in folders)
    found = compare_reports(one, other)
    (result,) = found["results"]
    rows = [i for i in range(U) if i not in (0, 5)]
    assert (result["model"], result["split"], result["scored"]) == ("vnet", "test", len(rows))
    ccc = {}
    for key, report in (("a", one), ("b", other)):
        values = np.array([report.rows["vnet", "test"][i].values for i in rows])
        ccc[key] = compute_ccc(LABELS[rows, 1], values[:, 1])
        assert result[key]["valence"]["ccc"] == pytest.approx(ccc[key])
    assert result["difference"]["valence"]["difference"] == pytest.approx(ccc["b"] - ccc["a"])
    assert found["changed"] == {"[vnet] epochs": [30, 20]}
    assert found["notes"] == [["note 1"], ["note 2"]]
    assert found["relabelled"] == 0


def test_other_labels_and_other_lists_are_left_out():
    labels = LABELS.copy()
    labels[3] += 0.1
    found = compare_reports(make_report(1), make_report(2, labels=labels, rows=slice(2, None)))
    assert found["relabelled"] == 1
    assert found["results"][0]["scored"] == U - 3


def test_command_as_text_and_json(folders, capsys):
    assert main(["report", "--compare", *map(str, folders)]) == 0
    text = capsys.readouterr().out
    for part in ("! A: note 1", "! B: note 2", "VNet, A", "VNet, B - A", ", p = ", "[vnet] epochs: 30, 20"):
        assert part in text
    assert main(["report", "--compare", *map(str, folders), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["results"][0]["scored"] == U - 2
    assert main(["report", "--compare", str(folders[0]), str(folders[0])]) == 0
    text = capsys.readouterr().out
    assert "the settings are the same" in text
    assert "+0.0000 [+0.00, +0.00], p = 1" in text


def test_one_report_again(folders, capsys):
    assert main(["report", str(folders[0])]) == 0
    text = capsys.readouterr().out
    assert text.startswith("! note 1\n")
    assert "VNet, this run" in text


def test_what_is_no_report_is_told(folders, capsys):
    assert main(["report", "--compare", str(folders[0]), "nowhere"]) == 2
    assert "nowhere/report.json does not exist; name a report's folder" in capsys.readouterr().err
    (folders[0] / "report.json").write_text("{")
    with pytest.raises(UserError, match="a cannot be read as a report: "):
        read_report(folders[0])
    (folders[1] / "predictions" / "vnet-test.detail.csv").write_text("video,utterance\n")
    with pytest.raises(UserError, match="b cannot be read as a report: column arousal is missing; run FullRun"):
        read_report(folders[1])


def test_where_nothing_was_reported_yet_the_run_is_named_that_does(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["report"]) == 2
    told = "runs/latest does not exist: there is no report yet; `valar run` writes it, or name a folder\n"
    assert capsys.readouterr().err == told


@pytest.mark.parametrize(("old", "new"), [(",", ',"' + "a" * 140_000 + '",'), ("mp4,", "mp4,inf,")])
def test_a_row_that_no_report_writes_is_one_sentence(folders, capsys, old, new):
    path = folders[1] / "predictions" / "vnet-test.detail.csv"
    head, _, rows = path.read_text().partition("\n")
    path.write_text(f"{head}\n{rows.replace(old, new, 1)}")
    assert main(["report", "--compare", *map(str, folders)]) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert f"{folders[1]} cannot be read as a report: " in err


def test_a_ledger_with_a_cell_of_any_length_is_none(folders):
    ledger = "utterance,split,sound,picture\n" + "a" * 140_000 + ",train,ok,ok\n"
    (folders[0] / "ledger.csv").write_text(ledger)
    assert main(["report", "--compare", *map(str, folders)]) == 0
