"""Settings: read in the right order, refused with file, name, value and limit."""

import re
import subprocess
import sys
from pathlib import Path

import luigi
import pytest

from models import paper
from pipeline.settings import config
from pipeline.settings.files import read_settings

ROOT = Path(__file__).resolve().parents[3]


def load_in_process(folder, overlay=None, show="''"):
    """Load the settings in a process of their own: Luigi's configuration is global."""
    code = f"import luigi\nfrom pipeline.settings import config\nconfig.load()\nprint({show})"
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
    parser = read_settings(ROOT / "tasks.cfg")
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
        ("[run]\nroot = 100%\n", "[run] root = 100% contains a single %; write %% instead"),
    ],
)
def test_faults_are_named_with_their_file(tmp_path, text, message):
    overlay = write(tmp_path / "mine.cfg", text)
    ended = load_in_process(tmp_path, overlay)
    assert ended.returncode != 0
    assert re.search(rf"mine\.cfg.*{re.escape(message)}", ended.stderr)


def run_pipeline(folder, *arguments, overlay):
    return subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "pipeline", *arguments],
        cwd=folder,
        env={"PATH": "/usr/bin:/bin", "HOME": str(folder), "LUIGI_CONFIG_PATH": str(overlay), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"[vnet]\nepochs = 3\nepochs = 4\n", "mine.cfg:3: epochs of [vnet] occurs twice; keep one"),
        (b"[run]\n[vnet]\n[run]\n", "mine.cfg:3: [run] occurs twice; keep one"),
        (b"epochs = 3\n", "mine.cfg:1: 'epochs = 3' is before the first section; write [run]"),
        (b"[vnet\nx = 1", "mine.cfg:1: '[vnet' is before the first section; write [run]"),
        (
            b"[vnet]\nepochs\n",
            "mine.cfg:2: 'epochs\\n' is neither `option = value` nor a [section]",
        ),
        ("[vnet]\n".encode("utf-16"), "mine.cfg is UTF-16 or not a text; save it as UTF-8"),
        ("[vnet]\n".encode("utf-16-le"), "mine.cfg is UTF-16 or not a text; save it as UTF-8"),
        ("[run]\nroot = Läufe\n".encode("latin-1"), "mine.cfg:2: not UTF-8; save the file as UTF-8"),
        (b"[run]\nroot = ~nobody-here/x\n", "there is no home folder for ~nobody-here; write ./~nobody-here/x"),
    ],
)
def test_an_overlay_that_cannot_be_read_is_one_sentence_of_a_command(tmp_path, content, message):
    (tmp_path / "mine.cfg").write_bytes(content)
    ended = run_pipeline(tmp_path, "status", overlay="mine.cfg")
    assert ended.returncode != 0
    assert message in ended.stderr
    assert len(ended.stderr.splitlines()) == 1
    assert list(tmp_path.iterdir()) == [tmp_path / "mine.cfg"]


def test_an_overlay_with_a_byte_order_mark_is_read(tmp_path):
    text = "\ufeff[dataset]\ntrain = nöwhere.csv\n[embeddings]\nweights = random\n[anet]\nvgg_weights = random\n"
    (tmp_path / "mine.cfg").write_bytes(text.encode())
    ended = run_pipeline(tmp_path, "status", overlay="mine.cfg")
    assert "[dataset] train = nöwhere.csv does not exist" in ended.stderr


def test_a_tilde_in_a_path_is_the_home_folder(tmp_path):
    overlay = write(tmp_path / "mine.cfg", "[run]\nroot = ~/runs\n[store]\nroot = ~\n[anet]\nvgg_weights = random\n")
    shown = load_in_process(
        tmp_path, overlay, "(config.run().root, config.store().root, config.anet().vgg_weights, config.run().scratch)"
    )
    assert shown.stdout == f"('{tmp_path}/runs', '{tmp_path}', 'random', '')\n"


def test_every_setting_that_is_a_path_knows_the_home_folder(monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    as_written = {
        f"{name}.{option}"
        for name, section in config.SECTIONS.items()
        for option, parameter in section.get_params()
        if parameter.__class__ is luigi.Parameter and parameter.parse("~/x") == "~/x"
    }
    assert as_written == {"anet.features", "dataset.group", "vnet.features"}  # names, no paths


def test_a_run_s_settings_are_those_it_was_opened_with(tmp_path):
    shown = load_in_process(
        tmp_path,
        write(tmp_path / "mine.cfg", "[vnet]\nepochs = 5\n"),
        "(settings := config.Settings.read()).vnet.epochs, "
        "luigi.configuration.get_config().set('vnet', 'epochs', '6'), settings.vnet.epochs, "
        "config.Settings.read().vnet.epochs, settings.replace('vnet', epochs=7).vnet.epochs",
    )
    assert shown.stdout == "5 None 5 6 7\n", shown.stderr


def test_settings_that_contradict_each_other_stop_before_anything_is_done(tmp_path):
    ended = load_in_process(tmp_path, write(tmp_path / "mine.cfg", "[vnet]\nmirror = true\n"))
    assert ended.returncode != 0
    assert "[vnet] mirror (true) needs backbone = finetune" in ended.stderr


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


PRESETS = re.findall(r"```ini\n(.*?)```", (ROOT / "docs" / "training.md").read_text(encoding="utf-8"), flags=re.DOTALL)


@pytest.mark.parametrize("preset", PRESETS, ids=lambda text: text.splitlines()[0])
def test_presets_of_the_documentation_are_settings_that_load(tmp_path, preset):
    assert len(PRESETS) == 2
    sections = read_settings(write(tmp_path / "mine.cfg", preset))
    asked = [(name, option, value) for name, options in sections.items() for option, value in options.items()]
    assert len(asked) >= 2
    show = ", ".join(f"str(config.{name}().{option})" for name, option, _ in asked)
    write(tmp_path / "tasks.cfg", (ROOT / "tasks.cfg").read_text(encoding="utf-8"))
    shown = load_in_process(tmp_path, tmp_path / "mine.cfg", f"[{show}]")
    assert shown.stdout == f"{[str(float(v)) if v.isdigit() else v for _, _, v in asked]}\n", shown.stderr
