"""Settings: read in the right order, refused with file, name, value and limit."""

import re
import subprocess
import sys
from pathlib import Path

import luigi
import pytest

from models import paper
from pipeline import config

ROOT = Path(__file__).resolve().parent.parent.parent


def load_in_process(folder, overlay=None, show="''"):
    """Load the settings in a process of their own: Luigi's configuration is global."""
    code = f"from pipeline import config\nconfig.load()\nprint({show})"
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(folder)}
    if overlay is not None:
        environment["LUIGI_CONFIG_PATH"] = str(overlay)
    return subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def write(path, text):
    path.write_text(text, encoding="utf-8")
    return path


def test_tasks_cfg_lists_every_setting_with_the_paper_s_value():
    parser = config._parse(ROOT / "tasks.cfg")
    for name, section in config.SECTIONS.items():
        options = {option for option, _ in section.get_params()}
        assert set(parser[name]) == options, f"[{name}] of tasks.cfg and of config.py differ"
    assert config.SECTIONS["vnet"].learning_rate_steps.parse(parser["vnet"]["learning_rate_steps"]) == (
        paper.VNET_LEARNING_RATE_STEPS
    )
    assert float(parser["joint"]["learning_rate"]) == paper.JOINT_LEARNING_RATE
    assert int(parser["joint"]["batch_size"]) == paper.JOINT_BATCH_SIZE
    assert float(parser["anet"]["channel_scale"]) == 1


def test_the_overlay_wins_over_tasks_cfg(tmp_path):
    write(tmp_path / "tasks.cfg", "[vnet]\nepochs = 3\nbatch_size = 7\n[run]\nroot = a %% b\n")
    overlay = write(tmp_path / "mine.cfg", "[vnet]\nepochs = 5\n")
    shown = load_in_process(tmp_path, overlay, "(config.vnet().epochs, config.vnet().batch_size, config.run().root)")
    assert shown.stdout == "(5, 7, 'a % b')\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[vnets]\nepochs = 3\n", "section [vnets] is unknown; did you mean vnet?"),
        ("[vnet]\nepoch = 3\n", "option epoch of [vnet] is unknown; did you mean epochs?"),
        ("[core]\nworker = 3\n", "option worker of [core] is unknown; did you mean workers?"),
        ("[vnet]\nepochs = many\n", "[vnet] epochs = many: invalid literal for int()"),
        ("[faces]\nsmallest_face_px = 3\n", "[faces] smallest_face_px = 3: "),
        ("[faces]\ncrops = row\n", "[faces] crops = row: "),
        ("[frames]\nstore_pixels = maybe\n", "[frames] store_pixels = maybe: "),
        ("[run]\nroot = 100%\n", "[run] root = 100% holds a lone %; write %% for it"),
        # Luigi reads the overlay before we do; its words name the file too.
        ("[vnet]\nepochs = 3\nepochs = 4\n", "option 'epochs' in section 'vnet' already exists"),
    ],
)
def test_faults_are_named_with_their_file(tmp_path, text, message):
    overlay = write(tmp_path / "mine.cfg", text)
    ended = load_in_process(tmp_path, overlay)
    assert ended.returncode != 0
    assert re.search(rf"mine\.cfg.*{re.escape(message)}", ended.stderr)


def test_settings_that_contradict_each_other_stop_before_anything_is_done(tmp_path):
    ended = load_in_process(tmp_path, write(tmp_path / "mine.cfg", "[vnet]\nmirror = true\n"))
    assert ended.returncode != 0
    assert "[vnet] mirror = true needs [vnet] backbone = finetune" in ended.stderr


def test_all_faults_are_listed_at_once(tmp_path):
    overlay = write(tmp_path / "mine.cfg", "[vnet]\nepoch = 3\n[jont]\nepochs = 3\n")
    ended = load_in_process(tmp_path, overlay)
    assert "option epoch" in ended.stderr
    assert "section [jont]" in ended.stderr


def test_an_overlay_that_is_not_there_is_an_error(tmp_path):
    ended = load_in_process(tmp_path, tmp_path / "none.cfg")
    assert "none.cfg does not exist; correct LUIGI_CONFIG_PATH" in ended.stderr


def test_without_a_scheduler_s_host_the_process_schedules_for_itself(tmp_path):
    alone = load_in_process(tmp_path, None, "config.is_scheduler_local()")
    shared = load_in_process(
        tmp_path, write(tmp_path / "mine.cfg", "[core]\nscheduler_host = head\n"), "config.is_scheduler_local()"
    )
    assert (alone.stdout, shared.stdout) == ("True\n", "False\n")


def test_settings_are_luigi_s_own_so_that_its_flags_work():
    assert all(issubclass(section, luigi.Config) for section in config.SECTIONS.values())
