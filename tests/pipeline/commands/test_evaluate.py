import json
import subprocess
import sys

import numpy as np
import pytest

from pipeline.__main__ import main
from pipeline.commands.evaluate import evaluate_files
from pipeline.dataset.utterances import DatasetError
from pipeline.report.rows import DetailRow, format_predictions
from tests.pipeline.dataset.test_holding_out import write_omgs_shape

HEADER = "link,start,end,video,utterance,arousal,valence,EmotionMaxVote"


def official_ccc(truth, prediction):
    """The CCC of the challenge's official script: population standard deviations, and rho from NumPy."""
    rho = np.corrcoef(truth, prediction)[0, 1]
    s_t, s_p = np.std(truth), np.std(prediction)
    return 2 * rho * s_t * s_p / (s_t**2 + s_p**2 + (np.mean(prediction) - np.mean(truth)) ** 2)


@pytest.fixture
def rows():
    """Three videos of four utterances: (video, utterance, true pair, predicted pair)."""
    rng = np.random.default_rng(0)
    truth = rng.uniform(-1, 1, (12, 2)).round(3)
    prediction = (0.6 * truth + rng.normal(0, 0.3, (12, 2))).round(6)
    names = [(f"v{i // 4}", f"utterance_{i % 4}.mp4") for i in range(12)]
    return [(*name, t, p) for name, t, p in zip(names, truth.tolist(), prediction.tolist(), strict=True)]


def write(tmp_path, rows, predictions=None):
    truth, predicted = tmp_path / "truth.csv", tmp_path / "predictions.csv"
    truth.write_text("\n".join([HEADER, *(f"of {v},0,1,{v},{u},{t[0]},{t[1]},0" for v, u, t, _ in rows)]) + "\n")
    lines = [f"{v},{u},{p[0]},{p[1]}" for v, u, _, p in rows] if predictions is None else predictions
    predicted.write_text("\n".join(["video,utterance,arousal,valence", *lines]) + "\n")
    return truth, predicted


def lines_of(rows):
    return [f"{v},{u},{p[0]},{p[1]}" for v, u, _, p in rows]


def test_equals_the_official_formula(tmp_path, rows):
    result = evaluate_files(*write(tmp_path, rows), resample="utterances")
    truth, prediction = (np.array([row[i] for row in rows]) for i in (2, 3))
    for i, dimension in enumerate(("arousal", "valence")):
        assert result[dimension]["ccc"] == pytest.approx(official_ccc(truth[:, i], prediction[:, i]))
        assert result[dimension]["pearson"] == pytest.approx(np.corrcoef(truth[:, i], prediction[:, i])[0, 1])
        assert result[dimension]["mse"] == pytest.approx(np.mean((truth[:, i] - prediction[:, i]) ** 2))
        per_video = [official_ccc(truth[k : k + 4, i], prediction[k : k + 4, i]) for k in (0, 4, 8)]
        assert result[dimension]["ccc_per_video"] == pytest.approx(np.mean(per_video))
        assert [result["videos"][f"v{k}"][dimension] for k in range(3)] == pytest.approx(per_video)
        assert result[dimension]["ccc_low"] <= result[dimension]["ccc"] <= result[dimension]["ccc_high"]
    assert result["total_ccc"] == pytest.approx(result["arousal"]["ccc"] + result["valence"]["ccc"])
    assert (result["listed"], result["scored"], result["problems"]) == (12, 12, [])


def test_two_utterances_where_conventions_differ_most(tmp_path):
    # By hand: 2 cov / (var + var + shift^2) with divisor n: 2 * .125 / (.25 + .0625 + .0625) = 2/3.
    rows = [("v", "1.mp4", [0, 0], [0, 0]), ("v", "2.mp4", [1, 1], [0.5, 0.5])]
    assert evaluate_files(*write(tmp_path, rows))["arousal"]["ccc"] == pytest.approx(2 / 3)


def test_another_order_is_told_and_scored_by_name(tmp_path, rows):
    right = evaluate_files(*write(tmp_path, rows))
    result = evaluate_files(*write(tmp_path, rows, lines_of(rows)[::-1]))
    assert result["total_ccc"] == right["total_ccc"]
    assert result["scored"] == 12
    (problem,) = result["problems"]
    assert "predictions.csv:3: wrong order: v2/utterance_2 comes after v2/utterance_3" in problem


def test_missing_doubled_unknown_and_nan_are_told_and_not_scored(tmp_path, rows):
    lines = lines_of(rows)
    lines[1] = "v0,utterance_1.mp4,nan,0.1"
    lines[4] = "v1,utterance_0.mp4,high,0.1"
    del lines[11]
    lines += ["v9,utterance_0.mp4,0.1,0.1", lines[0]]
    truth, predicted = write(tmp_path, rows, lines)
    result = evaluate_files(truth, predicted)
    assert (result["listed"], result["scored"]) == (12, 8)
    assert result["problems"] == [
        f"{predicted}:3: v0/utterance_1 has a prediction that is not a finite number; not scored",
        f"{predicted}:6: v1/utterance_0 has a prediction that is not a finite number; not scored",
        f"{predicted}:13: unknown utterance v9/utterance_0.mp4, not in the truth",
        f"{predicted}:14: wrong order: v0/utterance_0 comes after v2/utterance_2; the official script compares by "
        "position and would score it wrongly; here rows are joined by name",
        f"{predicted}: v0/utterance_0 occurs 2 times (lines 2, 14); not scored",
        f"{predicted}: missing utterance v2/utterance_3.mp4 (truth line 13); not scored",
    ]
    kept = [row for i, row in enumerate(rows) if i not in (0, 1, 4, 11)]
    truth, prediction = (np.array([row[i] for row in kept]) for i in (2, 3))
    assert result["valence"]["ccc"] == pytest.approx(official_ccc(truth[:, 1], prediction[:, 1]))


def test_a_row_without_a_name_and_another_spelling_are_told(tmp_path, rows):
    lines = lines_of(rows)
    lines[0] = lines[0].replace(".mp4", "")
    lines.append(",,0.45,0.16")
    truth, predicted = write(tmp_path, rows, lines)
    result = evaluate_files(truth, predicted)
    assert result["scored"] == 12
    assert result["problems"] == [
        f"{predicted}:14: the row has no video or no utterance",
        f"{predicted}:2: utterance_0 is written utterance_0.mp4 in the truth file",
    ]


def test_a_constant_truth_is_undefined_not_a_crash(tmp_path):
    rows = [("v", f"{i}.mp4", [0.5, i / 4], [i / 4, i / 4]) for i in range(4)]
    result = evaluate_files(*write(tmp_path, rows))
    assert result["arousal"]["ccc"] is None
    assert result["total_ccc"] is None
    assert result["valence"]["ccc"] == pytest.approx(1)


def test_nothing_in_common_scores_nothing(tmp_path, rows):
    result = evaluate_files(*write(tmp_path, rows, ["x,1.mp4,0,0"]))
    assert (result["scored"], result["total_ccc"]) == (0, None)
    assert len(result["problems"]) == 13


@pytest.mark.parametrize(
    ("predictions", "match"),
    [
        ("video,utterance,arousal\n", "predictions.csv:1: column valence is missing"),
        ("", "the file is empty; expected"),
    ],
)
def test_predictions_that_cannot_be_used(tmp_path, rows, predictions, match):
    truth, predicted = write(tmp_path, rows)
    predicted.write_text(predictions)
    with pytest.raises(DatasetError, match=match):
        evaluate_files(truth, predicted)


def test_a_truth_without_labels_is_refused(tmp_path, rows):
    truth, predicted = write(tmp_path, rows)
    truth.write_text("video,utterance\nv0,utterance_0.mp4\n")
    with pytest.raises(DatasetError, match=r"truth.csv: there are no labels in it"):
        evaluate_files(truth, predicted)


def test_command_prints_text_and_exits_by_what_fits(tmp_path, rows, capsys):
    truth, predicted = write(tmp_path, rows)
    assert main(["evaluate", str(truth), str(predicted)]) == 0
    assert capsys.readouterr().out.startswith("scored 12 of 12 listed utterances (100.0%)\n")
    truth, predicted = write(tmp_path, rows, lines_of(rows)[:5])
    assert main(["evaluate", str(truth), str(predicted)]) == 1
    printed = capsys.readouterr().out
    assert "scored 5 of 12 listed utterances (41.7%)" in printed
    assert "7 problems:" in printed
    assert main(["evaluate", str(truth), str(tmp_path / "none.csv")]) == 2
    assert "none.csv: cannot be read: No such file or directory" in capsys.readouterr().err


def test_a_truth_on_another_scale_has_the_score_of_the_usual_one(tmp_path, rows, capsys):
    truth, predicted = write(tmp_path, rows)
    assert main(["evaluate", str(truth), str(predicted), "--json"]) == 0
    usual = json.loads(capsys.readouterr().out)
    lines = truth.read_text().splitlines()
    head = lines[0].split(",")
    columns = [head.index("arousal"), head.index("valence")]
    cells = [line.split(",") for line in lines[1:]]
    for row in cells:
        for column in columns:
            row[column] = repr(4 * float(row[column]) + 5)
    truth.write_text("\n".join([lines[0], *map(",".join, cells)]) + "\n")
    assert main(["evaluate", str(truth), str(predicted), "--json", "--label-range", "1", "9"]) == 0
    mapped = json.loads(capsys.readouterr().out)
    for dimension in ("arousal", "valence"):
        assert mapped[dimension]["ccc"] == pytest.approx(usual[dimension]["ccc"], abs=1e-12)
    assert main(["evaluate", str(truth), str(predicted), "--label-range", "9", "x"]) == 2
    assert "--label-range 9 x: it must be two numbers, the lower and the upper end" in capsys.readouterr().err


def test_without_an_interval_it_says_how_many_units_there_were_and_how_many_it_takes(tmp_path, rows, capsys):
    files = [str(path) for path in write(tmp_path, rows)]
    assert main(["evaluate", *files]) == 0
    printed = capsys.readouterr().out
    assert "no interval: the scored utterances come from 3 recordings, and an interval needs 10; --group" in printed
    assert main(["evaluate", *files, "--resample", "videos"]) == 0
    assert "no interval: the scored utterances come from 3 videos, and an interval needs 10" in capsys.readouterr().out
    assert main(["evaluate", *files, "--resample", "utterances"]) == 0
    assert "no interval" not in capsys.readouterr().out, "there are twelve"
    files = [str(path) for path in write(tmp_path, rows[:2])]
    assert main(["evaluate", *files, "--resample", "utterances"]) == 0
    assert "no interval: 2 utterances scored, and an interval needs 10\n" in capsys.readouterr().out


def test_text_shows_twenty_problems_and_counts_the_rest(tmp_path, capsys):
    rows = [("v", f"{i}.mp4", [i / 40, i / 40], [0, 0]) for i in range(40)]
    truth, predicted = write(tmp_path, rows, ["v,0.mp4,0,0"])
    assert main(["evaluate", str(truth), str(predicted)]) == 1
    printed = capsys.readouterr().out
    assert printed.count("missing utterance") == 20
    assert "... and 19 more (--json lists all)" in printed


def test_json_from_the_shell(tmp_path, rows):
    truth, predicted = write(tmp_path, rows, lines_of(rows)[:-1])
    command = [sys.executable, "-m", "pipeline", "evaluate", str(truth), str(predicted), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    result = json.loads(done.stdout)
    assert (result["listed"], result["scored"], len(result["problems"])) == (12, 11, 1)
    assert set(result["arousal"]) == {"ccc", "ccc_low", "ccc_high", "pearson", "mse", "ccc_per_video"}


def other_file(tmp_path, rows, shift=0.3, skip=0, name="other.csv"):
    path = tmp_path / name
    lines = [f"{v},{u},{p[0] + shift},{p[1] * (1 - shift)}" for v, u, _, p in rows[skip:]]
    path.write_text("\n".join(["video,utterance,arousal,valence", *lines]) + "\n")
    return path


def test_several_files_side_by_side(tmp_path, rows, capsys):
    truth, predicted = write(tmp_path, rows)
    other = other_file(tmp_path, rows)
    assert main(["evaluate", str(truth), str(predicted), str(other), "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    alone = evaluate_files(truth, other)
    assert result["files"][1] == {key: value for key, value in alone.items() if key != "truth"}
    first, second = result["common"]["files"]
    (compared,) = result["common"]["comparisons"]
    for dimension in ("arousal", "valence"):
        difference = second[dimension]["ccc"] - first[dimension]["ccc"]
        assert compared[dimension]["difference"] == pytest.approx(difference)
        assert 0 < compared[dimension]["p_value"] <= 1


def test_files_are_compared_on_what_all_have(tmp_path, rows, capsys):
    truth, predicted = write(tmp_path, rows)
    other = other_file(tmp_path, rows, shift=0, skip=3)
    assert main(["evaluate", str(truth), str(predicted), str(other)]) == 1
    printed = capsys.readouterr().out
    assert "12/12" in printed
    assert "9/12" in printed
    assert "on the 9 utterances that all files have" in printed
    assert "+0.0000, p = 1" in printed, "three recordings give no interval"
    assert "no interval: the scored utterances come from 3 recordings, and an interval needs 10; --group" in printed
    assert "3 problems:" in printed
    lines = printed.splitlines()
    assert lines[:3] == [f"A  {predicted}", f"B  {other}", ""]
    assert "difference to A [95 % interval], permutation test" in lines
    tables = lines[3 : next(i for i, line in enumerate(lines) if line.startswith("no interval"))]
    assert max(map(len, tables)) <= 80
    assert [line.split()[0] for line in tables if line.startswith("  ")] == [
        *["file", "A", "B", "file", "A", "B", "file", "B"]
    ]


def test_intervals_are_over_recordings_unless_asked_for(tmp_path, capsys):
    """48 utterances of 24 videos that are parts of 12 recordings; the utterances of a recording share their errors."""
    rng = np.random.default_rng(1)
    of = np.arange(48) // 4
    truth = rng.normal(0, 0.2, (12, 2))[of] + rng.normal(0, 0.1, (48, 2))
    values = (0.6 * truth + rng.normal(0, 0.2, (12, 2))[of]).clip(-1, 1).round(6)
    names = [(f"abc{i // 4:02}_{i // 2 % 2}", f"{i}.mp4") for i in range(48)]
    truth_file, predicted = write(
        tmp_path,
        [(*n, t, p) for n, t, p in zip(names, truth.clip(-1, 1).round(3).tolist(), values.tolist(), strict=True)],
    )
    linked = truth_file.read_text()
    truth_file.write_text(
        "\n".join(line.split(",", 1)[0][:8] + "," + line.split(",", 1)[1] for line in linked.splitlines())
    )
    found = {}
    for unit in ("recordings", "videos", "utterances"):
        assert main(["evaluate", str(truth_file), str(predicted), "--json", "--resample", unit]) == 0
        found[unit] = json.loads(capsys.readouterr().out)
    assert {unit: result["groups"] for unit, result in found.items()} == {
        "recordings": 12,
        "videos": 24,
        "utterances": 48,
    }
    widths = [found[unit]["total_ccc_high"] - found[unit]["total_ccc_low"] for unit in found]
    assert widths[0] > widths[1] > widths[2]
    assert len({result["total_ccc"] for result in found.values()}) == 1


def test_intervals_of_omgs_shape_are_over_links(tmp_path):
    """617 clips of 60 names that are parts of 46 links; all predictions of a link have the same error."""
    truth = write_omgs_shape(tmp_path / "truth.csv", num_links=46, num_names=60, num_clips=617)
    rng = np.random.default_rng(5)
    lines, missed = ["video,utterance,arousal,valence"], {}
    for line in truth.read_text().splitlines()[1:]:
        link, _, _, video, utterance, arousal, valence, _ = line.split(",")
        error = missed.setdefault(link, rng.normal(0, 0.15, 2))
        pair = [0.6 * float(label) + part for label, part in zip((arousal, valence), error, strict=True)]
        lines.append(f"{video},{utterance},{pair[0]:.6f},{pair[1]:.6f}")
    predicted = tmp_path / "predicted.csv"
    predicted.write_text("\n".join(lines) + "\n")
    found = {unit: evaluate_files(truth, predicted, resample=unit) for unit in ("recordings", "videos")}
    assert [(result["groups"], result["scored"]) for result in found.values()] == [(46, 617), (60, 617)]
    widths = [result["total_ccc_high"] - result["total_ccc_low"] for result in found.values()]
    assert widths[0] > 1.05 * widths[1]


def test_names_that_were_made_harmless_to_a_spreadsheet_are_known_again(tmp_path, capsys):
    names = ["=1", "-571d8cVauQ", "+a b", "x"]
    truth = "".join(f"{name},u.mp4,0.{k}1,0.{k}2\n" for k, name in enumerate(names))
    rows = [
        DetailRow(name, "u.mp4", (k / 10 + 0.01, k / 10 + 0.02), "vnet", "ok", "ok") for k, name in enumerate(names)
    ]
    (tmp_path / "truth.csv").write_text(f"video,utterance,arousal,valence\n{truth}")
    (tmp_path / "predictions.csv").write_text(format_predictions(rows))
    assert main(["evaluate", str(tmp_path / "truth.csv"), str(tmp_path / "predictions.csv"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["arousal"]["ccc"] == pytest.approx(1)


@pytest.mark.parametrize("which", ["truth.csv", "predictions.csv"])
def test_no_cell_of_a_file_steers_the_terminal(tmp_path, capsys, which):
    header = "video,utterance,arousal,valence\n"
    (tmp_path / "truth.csv").write_text(f"{header}v,a.mp4,0.5,0.25\nv,b.mp4,0.1,0.25\n", encoding="utf-8")
    (tmp_path / "predictions.csv").write_text(f"{header}v,a.mp4,0.4,0.2\nv,b.mp4,0.1,0.2\n", encoding="utf-8")
    good = (tmp_path / which).read_text(encoding="utf-8")
    hostile = (good.replace("video", "\x1b[2Jvideo"), good.replace("a.mp4", "\x1b[2Ja.mp4"), f"{good}\x9b2J,c,1,1\n")
    for text in hostile:
        (tmp_path / which).write_text(text, encoding="utf-8")
        for form in ((), ("--json",)):
            code = main(["evaluate", str(tmp_path / "truth.csv"), str(tmp_path / "predictions.csv"), *form])
            printed = "".join(capsys.readouterr())
            assert code in (1, 2)
            assert not {"\x1b", "\x9b"} & set(printed)
