import csv
import dataclasses
import io
import json

import numpy as np
import pytest

from pipeline.commands.evaluate import evaluate_files
from pipeline.dataset.utterances import DatasetError
from pipeline.report.publish import note_recordings
from pipeline.report.report_files import ModelPredictions, SplitListing, build_report, write_report
from pipeline.report.rows import parse_details
from pipeline.report.tables import PUBLISHED, format_tables, make_rows, print_tables

U = 12
NAN = float("nan")
VIDEOS = [f"v{i // 4}" for i in range(U)]
FILES = [f"utterance_{i % 4}.mp4" for i in range(U)]
NAMES = [f"v{i // 4}/utterance_{i % 4}" for i in range(U)]
LABELS = np.random.default_rng(0).uniform(-1, 1, (U, 2)).round(3)
MEAN = np.array([0.25, -0.125])


def listing(split="validation", labels=LABELS):
    statuses = ["ok"] * U, ["ok"] * 10 + ["no_face", "decode_error"]
    return SplitListing(split, NAMES, VIDEOS, FILES, labels, *statuses, groups=NAMES)


def predictions(model, unseen=(), split="validation", seed=1):
    values = (0.5 * LABELS + np.random.default_rng(seed).normal(0, 0.2, (U, 2))).astype(np.float32)
    values[list(unseen)] = NAN
    return ModelPredictions(model, split, NAMES, values, [model] * U)


def build(*given, listings=None, **kwargs):
    options = {"training_mean": MEAN, "provenance": {"seed": 7}, "notes": [], **kwargs}
    return build_report(given, listings or [listing()], **options)


def official_ccc(truth, prediction):
    rho = np.corrcoef(truth, prediction)[0, 1]
    s_t, s_p = np.std(truth), np.std(prediction)
    return 2 * rho * s_t * s_p / (s_t**2 + s_p**2 + (np.mean(prediction) - np.mean(truth)) ** 2)


def test_scores_what_each_saw_what_all_saw_and_the_filled_file():
    anet, vnet = predictions("anet", unseen=[0]), predictions("vnet", unseen=[10, 11], seed=2)
    report = build(anet, vnet)
    own = {"anet": set(range(1, U)), "vnet": set(range(10))}
    for given in (anet, vnet):
        entry = report.content["models"][given.model]["validation"]
        filled = np.where(np.isnan(given.values), MEAN, np.round(given.values.astype(float), 6))
        for view, rows in (
            (entry, sorted(own[given.model])),
            (entry["common"], sorted(own["anet"] & own["vnet"])),
            (entry["filled"], list(range(U))),
        ):
            assert (view["listed"], view["scored"]) == (U, len(rows))
            expected = [official_ccc(LABELS[rows, i], filled[rows, i]) for i in (0, 1)]
            assert [view["arousal"]["ccc"], view["valence"]["ccc"]] == pytest.approx(expected)
            assert view["total_ccc"] == pytest.approx(sum(expected))
            assert view["groups"] == len(rows)
            if len(rows) < 10:
                assert view["total_ccc_low"] is view["total_ccc_high"] is None
            else:
                assert view["total_ccc_low"] <= view["total_ccc"] <= view["total_ccc_high"]
            assert set(view["arousal"]) == {"ccc", "ccc_low", "ccc_high", "pearson", "mse", "ccc_per_video"}


def test_report_json_has_the_contracts_shape_and_is_strict_json():
    report = build(predictions("anet", unseen=range(U)), predictions("joint"), notes=["RANDOM WEIGHTS: x"])
    content = json.loads(report.files["report.json"], parse_constant=lambda text: pytest.fail(f"{text} is not JSON"))
    assert set(content) == {"models", "baselines", "comparisons", "notes", "provenance"}
    assert content["provenance"] == {"seed": 7}
    assert content["notes"] == ["RANDOM WEIGHTS: x"]
    entry = content["models"]["anet"]["validation"]
    scores = {"arousal", "valence", "total_ccc", "total_ccc_low", "total_ccc_high", "listed", "scored", "groups"}
    assert set(entry["common"]) == set(entry["filled"]) == scores
    assert set(entry) == scores | {"predicted", "common", "filled", "videos"}
    assert (entry["scored"], entry["predicted"], entry["total_ccc"]) == (0, 0, None)
    assert entry["filled"]["scored"] == U
    assert entry["filled"]["arousal"]["ccc"] == 0  # one constant for everything agrees with nothing
    assert content["models"]["joint"]["validation"]["common"]["scored"] == 0


def test_a_split_without_labels_has_files_and_no_scores():
    report = build(predictions("vnet", [3], "test"), listings=[listing("test", labels=None)])
    assert report.content["models"]["vnet"]["test"] == {"listed": U, "predicted": U - 1, "scored": 0}
    assert len(report.files["predictions/vnet-test.csv"].splitlines()) == U + 1


def test_utterances_without_a_label_are_listed_and_not_scored():
    labels = LABELS.copy()
    labels[4] = NAN
    entry = build(predictions("vnet"), listings=[listing(labels=labels)]).content["models"]["vnet"]["validation"]
    assert (entry["listed"], entry["scored"], entry["filled"]["scored"]) == (U, U - 1, U - 1)


def test_files_list_every_utterance_in_order_and_say_what_it_rests_on():
    given = predictions("joint", unseen=[11])
    given = ModelPredictions(**{**given.__dict__, "rests_on": ["joint"] * 10 + ["anet", "joint"]})
    files = build(given).files
    plain = list(csv.reader(io.StringIO(files["predictions/joint-validation.csv"])))
    assert plain[0] == ["video", "utterance", "arousal", "valence"]
    assert [tuple(row[:2]) for row in plain[1:]] == list(zip(VIDEOS, FILES, strict=True))
    assert plain[12] == ["v2", "utterance_3.mp4", "0.250000", "-0.125000"]
    detail = list(csv.DictReader(io.StringIO(files["predictions/joint-validation.detail.csv"])))
    assert [row["rests_on"] for row in detail] == ["joint"] * 10 + ["anet", "mean"]
    assert (detail[10]["sound"], detail[10]["picture"]) == ("ok", "no_face")
    assert detail[11]["picture"] == "decode_error"


def test_a_written_file_scores_what_the_report_says(tmp_path):
    report = build(predictions("vnet", unseen=[2, 5]))
    write_report(tmp_path / "run", report)
    truth = tmp_path / "truth.csv"
    rows = [f"{v},{u},{a},{b}" for v, u, (a, b) in zip(VIDEOS, FILES, LABELS.tolist(), strict=True)]
    truth.write_text("video,utterance,arousal,valence\n" + "\n".join(rows) + "\n")
    submission = tmp_path / "run" / "predictions" / "vnet-validation.csv"
    result = evaluate_files(truth, submission, resample="utterances")
    filled = report.content["models"]["vnet"]["validation"]["filled"]
    assert result["problems"] == []
    assert {key: result[key] for key in filled} == filled


def test_clips_of_recordings_met_before_are_also_left_out():
    """The official splits share links; clips of recordings that the networks were trained on are scored apart."""
    given = predictions("vnet", unseen=[2])
    one = dataclasses.replace(listing(), groups=VIDEOS, shared=[video == "v0" for video in VIDEOS])
    content = build(given, listings=[one]).content
    apart = content["models"]["vnet"]["validation"]["apart"]
    assert (apart["scored"], apart["groups"]) == (8, 2)
    assert apart["arousal"]["ccc"] == pytest.approx(
        official_ccc(LABELS[4:, 0], np.round(given.values[4:, 0], 6)), abs=1e-6
    )
    assert "VNet, recordings of this split only" in format_tables(content)
    assert "apart" not in build(given).content["models"]["vnet"]["validation"]
    few, shared = note_recordings([one])
    assert few.startswith("NO INTERVALS on validation: its utterances are parts of 3 recordings")
    assert shared.startswith("SHARED RECORDINGS: 4 of 12 validation utterances come from 1 recording that")


def test_names_with_commas_and_quotes_survive_the_files():
    odd = SplitListing("test", ["a/b"], ['a, "b"'], ["b,c.mp4"], None, ["ok"], ["ok"])
    given = ModelPredictions("anet", "test", ["a/b"], np.zeros((1, 2)), ["anet"])
    text = build(given, listings=[odd]).files["predictions/anet-test.csv"]
    assert list(csv.reader(io.StringIO(text)))[1][:2] == ['a, "b"', "b,c.mp4"]


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"names": NAMES[::-1]}, "vnet on validation: 12 names, which differ from the split's 12 names or their order"),
        ({"values": np.zeros((U, 3))}, r"values of shape \(12, 3\) and 12 sources for 12 utterances"),
        ({"rests_on": ["vnet"]}, r"values of shape \(12, 2\) and 1 sources for 12"),
        ({"values": np.full((U, 2), np.inf)}, r"v0/utterance_0 has \[inf, inf\]"),
        ({"values": np.tile([0.5, NAN], (U, 1))}, r"v0/utterance_0 has \[0.5, nan\]; expected two numbers or two NaN"),
    ],
)
def test_refuses_predictions_that_do_not_fit(change, match):
    given = ModelPredictions(**{**predictions("vnet").__dict__, **change})
    with pytest.raises(ValueError, match=match):
        build(given)


def test_refuses_a_mean_that_is_none():
    with pytest.raises(ValueError, match=r"training_mean is \[0.1, nan\]"):
        build(predictions("vnet"), training_mean=np.array([0.1, NAN]))


def test_writes_a_folder_whole_or_not_at_all(tmp_path, monkeypatch):
    report = build(predictions("anet"))
    folder = tmp_path / "reports" / "abc"
    monkeypatch.setattr(
        "pipeline.report.report_files.flush_file", lambda path: (_ for _ in ()).throw(OSError(28, "disk full"))
    )
    with pytest.raises(OSError, match=r"No space left on device, 488 bytes needed: .*anet-validation.csv"):
        write_report(folder, report)
    assert list((tmp_path / "reports").iterdir()) == []
    monkeypatch.undo()
    write_report(folder, report)
    written = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert (
        written
        == set(report.files)
        == {
            "report.json",
            "predictions/anet-validation.csv",
            "predictions/anet-validation.detail.csv",
        }
    )
    assert [path.name for path in folder.parent.iterdir()] == ["abc"]


def test_does_not_overwrite_unless_asked(tmp_path):
    folder = tmp_path / "abc"
    write_report(folder, build(predictions("anet")))
    with pytest.raises(FileExistsError, match="abc exists; a report is not overwritten unless replace=True"):
        write_report(folder, build(predictions("vnet")))
    write_report(folder, build(predictions("vnet")), replace=True)
    assert sorted(path.name for path in (folder / "predictions").iterdir()) == [
        "vnet-validation.csv",
        "vnet-validation.detail.csv",
    ]
    assert [path.name for path in tmp_path.iterdir()] == ["abc"]


def test_published_totals_are_the_sums_of_their_parts():
    whole = [p for p in PUBLISHED if p.total is not None]
    assert len(whole) == 11
    for p in whole:
        assert p.total == pytest.approx(p.arousal + p.valence, abs=1e-9)


def test_baselines_are_beside_and_do_not_count_in_what_all_models_could_see():
    ridge = predictions("ridge", unseen=[0, 1, 2, 3, 4], seed=5)
    report = build(predictions("anet", unseen=[7]), predictions("vnet", seed=2), baselines=[ridge])
    models, baselines = report.content["models"], report.content["baselines"]
    assert set(models) == {"anet", "vnet"}
    assert models["vnet"]["validation"]["common"]["scored"] == U - 1
    assert baselines["ridge"]["validation"]["scored"] == U - 5
    assert baselines["ridge"]["validation"]["common"]["scored"] == U - 6
    assert "predictions/ridge-validation.csv" in report.files


def test_models_are_compared_in_pairs_on_what_all_could_see():
    anet, vnet, joint = (
        predictions(model, unseen, seed=seed)
        for model, unseen, seed in (("anet", [0], 1), ("vnet", [11], 2), ("joint", [], 3))
    )
    found = build(anet, vnet, joint).content["comparisons"]["validation"]
    assert [(c["one"], c["other"]) for c in found] == [("vnet", "anet"), ("joint", "anet"), ("joint", "vnet")]
    rows = list(range(1, 11))
    values = {p.model: np.round(p.values.astype(float), 6)[rows] for p in (anet, vnet, joint)}
    for compared in found:
        assert compared["scored"] == 10
        for i, dimension in enumerate(("arousal", "valence")):
            ccc = [official_ccc(LABELS[rows, i], values[compared[key]][:, i]) for key in ("one", "other")]
            assert compared[dimension]["difference"] == pytest.approx(ccc[0] - ccc[1])
            assert compared[dimension]["low"] <= compared[dimension]["difference"] <= compared[dimension]["high"]
            assert 0 < compared[dimension]["p_value"] <= 1


def test_each_videos_score_is_there():
    found = build(predictions("vnet", unseen=[4, 5, 6])).content["models"]["vnet"]["validation"]["videos"]
    values = np.round(predictions("vnet").values.astype(float), 6)
    assert {video: entry["scored"] for video, entry in found.items()} == {"v0": 4, "v1": 1, "v2": 4}
    assert found["v1"]["arousal"] is None
    assert found["v2"]["valence"] == pytest.approx(official_ccc(LABELS[8:, 1], values[8:, 1]))


def test_details_can_be_read_back():
    given = listing()
    given = SplitListing(**{**given.__dict__, "seconds": [1.5, None] * 6, "face_shares": [None, 0.25] * 6})
    report = build(predictions("vnet", unseen=[2]), listings=[given])
    rows = parse_details(report.files["predictions/vnet-validation.detail.csv"])
    assert rows == report.rows["vnet", "validation"]
    assert [row.is_seen for row in rows] == [True, True, False, *[True] * 9]
    assert (rows[0].seconds, rows[0].face_share, rows[1].face_share) == (1.5, None, 0.25)
    assert np.allclose([row.truth for row in rows], LABELS, atol=0)


def test_details_of_an_earlier_release_are_refused():
    with pytest.raises(ValueError, match="column true_arousal is missing; run FullRun again"):
        parse_details("video,utterance,arousal,valence,rests_on,sound,picture\n")


def entry(listed, scored, ccc):
    both = {"ccc": ccc, "ccc_low": 0.1, "ccc_high": 0.5, "pearson": ccc, "mse": 0.1, "ccc_per_video": ccc}
    return {"arousal": both, "valence": both, "total_ccc": 2 * ccc, "listed": listed, "scored": scored}


def test_table_as_text():
    whole = {**entry(617, 600, 0.25), "common": entry(617, 590, 0.26), "filled": entry(617, 617, 0.2)}
    content = {
        "models": {"vnet": {"validation": whole, "test": {"listed": 2229, "predicted": 2000, "scored": 0}}},
        "baselines": {"mean": {"validation": entry(617, 617, 0.0)}},
        "notes": ["RANDOM WEIGHTS: sphereface20 was not trained"],
        "provenance": {},
    }
    assert format_tables(content) == "\n".join(
        [
            "! RANDOM WEIGHTS: sphereface20 was not trained",
            "",
            "CCC on validation, on which the checkpoints were chosen, so it is optimistic",
            "                                      arousal              valence              total   scored/listed",
            "  video baseline (Barros & Wermter)   0.1200               0.2300               0.3500",
            "  VNet, paper                         0.2798               0.4688               0.7486",
            "  VNet, Alchieri et al. 2023          0.2630               0.4080               0.6710",
            "  the same with CCC loss and sigmoid  0.3280               0.4340               0.7620",
            "  audEERING 2018, video                                    0.4010",
            "  VNet, this run                      0.2500 [0.10, 0.50]  0.2500 [0.10, 0.50]  0.5000  600/617",
            "  mean of the training labels         0.0000 [0.10, 0.50]  0.0000 [0.10, 0.50]  0.0000  617/617",
            "",
            "CCC on test",
            "                          arousal    valence    total   scored/listed",
            "  audEERING 2018, video              0.2580",
            "  VNet, challenge's page  0.2441     0.4378     0.6819",
            "  VNet, this run          no labels  no labels          0/2229",
        ]
    )


def test_other_views_are_shown_only_where_they_differ():
    part = {**entry(9, 5, 0.2), "common": entry(9, 4, 0.2), "filled": entry(9, 9, 0.2)}
    whole = {**entry(5, 5, 0.2), "common": entry(5, 5, 0.2), "filled": entry(5, 5, 0.2)}
    content = {
        "models": {"vnet": {"validation": part}, "joint": {"validation": whole}},
        "official_splits": ["validation"],
    }
    shown = [(row.name, row.kind) for row in make_rows(content, "validation", all_views=True)]
    assert shown[shown.index(("VNet, this run", "run")) :] == [
        ("VNet, this run", "run"),
        ("VNet, on what all models could see", "view"),
        ("VNet, the rest filled in", "view"),
        ("UMONS 2018, sound, words and video", "quoted"),
        ("Joint, paper", "quoted"),
        ("Joint, this run", "run"),
    ]
    assert "view" not in {row.kind for row in make_rows(content, "validation")}


def test_others_results_stand_beside_the_official_splits_only():
    whole = {**entry(5, 5, 0.2), "common": entry(5, 5, 0.2), "filled": entry(5, 5, 0.2)}
    content = {"models": {"vnet": {"validation": whole, "test": whole}}}
    kinds = {
        (split, official): {row.kind for row in make_rows({**content, "official_splits": [official]}, split)}
        for split in ("validation", "test")
        for official in ("validation", "")
    }
    assert kinds["validation", "validation"] == {"quoted", "run"}
    assert kinds["validation", ""] == kinds["test", "validation"] == kinds["test", ""] == {"run"}
    assert {row.kind for row in make_rows(content, "validation")} == {"run"}, "a report of an earlier release"


def test_folds_are_a_table_of_their_own():
    pooled = {**entry(9, 9, 0.3), "total_ccc": 0.6, "total_ccc_low": 0.5, "total_ccc_high": 0.7}
    scores = {
        "folds": [],
        "mean": {"arousal": 0.25, "valence": 0.35, "total": 0.6},
        "spread": {"arousal": 0.05, "valence": None, "total": 0.1},
        "pooled": pooled,
    }
    content = build(
        predictions("joint"), extra={"cross_validation": {"num_folds": 5, "models": {"joint": scores}}}
    ).content
    lines = format_tables(content).splitlines()
    assert lines[-3] == (
        "CCC over 5 folds of the training and validation recordings (optimistic: epochs chosen on the fold that is "
        "scored): mean ± deviation of the folds"
    )
    assert " ".join(lines[-1].split()) == "Joint 0.250 ± 0.050 0.350 ± undefined 0.600 ± 0.100 0.6000 [0.50, 0.70] 9"


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_plain_where_there_is_no_terminal_and_a_table_where_there_is_one(monkeypatch):
    monkeypatch.setenv("COLUMNS", "140")
    monkeypatch.setenv("TERM", "xterm")
    content = build(predictions("joint"), notes=["VGG-16 has [0.25] times the paper's channels"]).content
    plain, terminal = io.StringIO(), Terminal()
    print_tables(content, plain)
    assert plain.getvalue() == format_tables(content) + "\n"
    print_tables(content, terminal)
    assert "\x1b[" in terminal.getvalue()
    assert "Joint, this run" in terminal.getvalue()
    assert "[0.25]" in terminal.getvalue()  # not taken for markup
    assert "\x1b" not in plain.getvalue()


def test_dataset_errors_are_the_users_to_mend():
    assert str(DatasetError(["a.csv:1: x", "a.csv:2: y"])) == "a.csv:1: x\na.csv:2: y"
