"""The commands of the tutorial and the code of the page on Python, run as they stand, on clips that are made here."""

import json
import math
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from models.paper import SAMPLE_RATE
from pipeline.demo.dataset import SplitSize, write_demo
from store.schema import SCHEMAS
from tests.conftest import ROOT
from tests.valar.terminals import run_on_terminal

#: Demo's speakers to the tutorial's names.
PEOPLE = {"speaker00_1": "anna", "speaker01_1": "ben", "speaker02_1": "carla"}


def read_blocks(page, language):
    """Give the code of a page's blocks of one language, in order."""
    return re.findall(rf"^```{language}\n(.*?)^```$", (ROOT / "docs" / page).read_text(encoding="utf-8"), re.M | re.S)


def make_clips(folder):
    """Lay out what the tutorial begins with: clips/, labels.csv, and new/ with what arrives later."""
    write_demo(folder / "made", sizes={"train": SplitSize(2, 1, 3), "validation": SplitSize(1, 1, 2)})
    rows = {"anna": [], "ben": [], "carla": []}
    for table in (folder / "made").glob("*.csv"):
        for line in table.read_text(encoding="utf-8").splitlines()[1:]:
            _, _, _, video, utterance, arousal, valence, *_ = line.split(",")
            name = PEOPLE[video]
            file = f"{name}_{re.sub(r'[^0-9]', '', Path(utterance).stem)}.mp4"
            target = folder / ("new" if name == "carla" else "clips") / file
            target.parent.mkdir(exist_ok=True)
            shutil.move(folder / "made" / "videos" / video / utterance, target)
            rows[name].append(f"{file},{arousal},{valence}\n")
    shutil.rmtree(folder / "made")
    header = "file,arousal,valence\n"
    (folder / "labels.csv").write_text(header + "".join(sorted(rows["anna"] + rows["ben"])), encoding="utf-8")
    (folder / "new" / "labels.csv").write_text(header + "".join(sorted(rows["carla"])), encoding="utf-8")


def walk_tutorial(folder, programs):
    """Give all the tutorial's commands in a folder that holds clips alone.

    Args:
        folder: An empty folder.
        programs: The folder of `valar`, that of an environment.

    Returns:
        What each block printed.
    """
    make_clips(folder)
    environment = {name: value for name, value in os.environ.items() if name not in ("LUIGI_CONFIG_PATH", "PYTHONPATH")}
    environment["PATH"] = f"{programs}{os.pathsep}{environment['PATH']}"
    printed = []
    for block in read_blocks("tutorial.md", "sh"):
        ended = subprocess.run(
            ["bash", "-eo", "pipefail", "-c", block],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert ended.returncode == 0, f"{block}\n{ended.stdout}\n{ended.stderr}"
        assert "Traceback" not in ended.stderr
        printed.append(ended.stdout)
    return printed


@pytest.fixture(scope="module")
def walked(tmp_path_factory):
    """The folder in which all the tutorial's commands have been given, and what each block printed."""
    folder = tmp_path_factory.mktemp("tutorial")
    return folder, walk_tutorial(folder, Path(sys.executable).parent)


@pytest.mark.slow
def test_the_tutorial_s_commands_lead_to_a_report_on_own_clips(walked):
    check_walk(*walked)


def check_walk(folder, printed):
    """Assert that the tutorial's commands did what the tutorial says."""
    assert len(printed) == 8
    assert "6 clips in one folder" in printed[1]
    assert printed[2].rstrip().endswith("report: runs/latest/report.html")
    assert printed[3].rstrip().endswith("nothing to do")
    assert "labels.csv: 8 clips, with labels" in printed[6]
    assert printed[6].rstrip().endswith("report: runs/latest/report.html")
    assert re.search(r"new/carla_\d\.mp4: arousal -?0\.\d+, valence -?0\.\d+ \(Joint; ", printed[7])
    for made in ("runs/latest/report.html", "sheet.png", "pages/index.html", "carla.csv", "carla.png"):
        assert (folder / made).stat().st_size > 0, made
    assert len((folder / "predictions.csv").read_text(encoding="utf-8").splitlines()) == 3


@pytest.mark.slow
def test_the_page_on_python_works_as_it_stands(walked):
    folder, _ = walked
    blocks = read_blocks("python.md", "python")
    assert len(blocks) >= 6
    checks = """
assert clip.name == "clips/anna_1" and answer.rests_on == "joint" and -1 <= answer.arousal <= 1
assert len(table) == len(store) == 10 and set(table.split) == {"train", "validation", "unlabelled"}
assert len(clips) >= 4 and batch["stft"].shape[2:] == (257, 2) and scores["scored"] >= 2
"""
    environment = {name: value for name, value in os.environ.items() if name != "LUIGI_CONFIG_PATH"}
    code = "\n".join([*blocks, checks])
    ended = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr


def read_cells():
    """Give the notebook's cells of code."""
    cells = json.loads((ROOT / "examples" / "store.ipynb").read_text(encoding="utf-8"))["cells"]
    return [cell for cell in cells if cell["cell_type"] == "code"]


@pytest.mark.slow
def test_the_notebook_runs_where_the_tutorial_ends(walked):
    folder, _ = walked
    checks = """
assert scores["scored"] == len(held_out) >= 2
assert len(losses) >= 20 and losses[-1] < losses[0]
"""
    code = "\n".join(["".join(cell["source"]) for cell in read_cells()] + [checks])
    environment = {name: value for name, value in os.environ.items() if name != "LUIGI_CONFIG_PATH"}
    command = [sys.executable, "-c", code]
    ended = subprocess.run(
        command, cwd=folder, env={**environment, "MPLBACKEND": "agg"}, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr


def test_the_notebook_carries_no_results():
    cells = read_cells()
    assert len(cells) >= 6
    assert [cell for cell in cells if cell["outputs"] or cell["execution_count"] is not None] == []


def test_files_that_the_page_on_extending_names_are_there():
    text = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`([\w/]+/[\w.]+\.(?:py|md|ipynb))`", text))
    assert len(named) >= 18
    assert [name for name in sorted(named) if not (ROOT / name).is_file()] == []
    for word in ("SCHEMAS", "MADE_FROM", "STAGES", "_FUNCTIONS", "SHARD_TASKS", "NETWORKS", "TRAININGS", "_LAYERS"):
        assert f"`{word}`" in text
        assert any(f"\n{word}" in (ROOT / name).read_text(encoding="utf-8") for name in named if name.endswith("py")), (
            word
        )


def test_the_disk_that_an_hour_takes_is_what_the_columns_add_up_to():
    rows = re.findall(
        r"^\| ([^|]+) \| ([0-9.]+) MB \|", (ROOT / "docs" / "install.md").read_text(encoding="utf-8"), re.M
    )
    told = {name.partition(",")[0].partition(":")[0]: float(size) for name, size in rows}
    frames, steps = 25 * 3600, 100 * 3600
    seconds = {"STFT": ("stft", steps), "embeddings": ("embeddings", frames), "faces": ("faces", frames)}
    seconds |= {"frame times": ("frames", frames), "crops": ("crops", frames)}
    for name, (stage, count) in seconds.items():
        size = sum(np.dtype(column.dtype).itemsize * math.prod(column.shape) for column in SCHEMAS[stage].rows)
        assert told[name] == pytest.approx(size * count / 1e6, rel=0.04), name
    assert told["sound"] == pytest.approx(2 * SAMPLE_RATE * 3600 / 1e6, rel=0.01)
    assert told["a declared feature of 128 numbers a face"] == pytest.approx((4 * 128 + 8) * frames / 1e6, rel=0.01)


@pytest.mark.slow
def test_what_the_commands_show_there_fits_a_terminal_of_80_columns(walked):
    folder, _ = walked
    clip = next((folder / "clips").iterdir())
    scored = "valar-validation.csv runs/latest/predictions/joint-validation.csv"
    for words, last in (
        (["run"], "next: valar predict VIDEO"),
        (["features"], "next: valar run"),
        (["status"], "  valar report"),
        (["report"], "  valar predict VIDEO"),
        (["predict", f"clips/{clip.name}"], f"  valar predict clips/{clip.name} --over-time 1"),
        (["predict", "clips"], "next: valar evaluate TRUTH.csv PREDICTIONS.csv, if there are labels"),
        (["faces", f"clips/{clip.name}", "-o", "again.png"], f"  valar predict clips/{clip.name}"),
        (["store", "ls"], "  valar store browse -o pages"),
        (["store", "show", f"clips/{clip.name}"], f"  valar store show clips/{clip.name} --plot clip.png"),
        (["evaluate", *scored.split()], f"  valar evaluate {scored} OTHER.csv"),
    ):
        code, lines = run_on_terminal(*words, cwd=folder)
        assert (code, [line for line in lines if len(line) > 80 and not line.startswith("  valar ")]) == (0, []), (
            words,
            lines,
        )
        assert not last or [line.rstrip() for line in lines if line.strip()][-1] == last, (words, lines)


def test_links_of_the_pages_for_newcomers_lead_somewhere():
    seen = 0
    for page in (
        "README.md",
        "docs/index.md",
        "docs/tutorial.md",
        "docs/own-data.md",
        "docs/python.md",
        "docs/install.md",
        "docs/extending.md",
    ):
        for link in re.findall(r"\]\(([^)#]+)[^)]*\)", (ROOT / page).read_text(encoding="utf-8")):
            if not link.startswith("http"):
                assert ((ROOT / page).parent / link).exists(), f"{page}: {link}"
                seen += 1
    assert seen >= 20
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) < 150
