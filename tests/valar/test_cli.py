"""The command `valar`: names, help, settings and exit codes, in processes of their own where those matter."""

import configparser
import os
import subprocess
import sys
from pathlib import Path

import pytest

from valar import __version__
from valar.cli import COMMANDS, main
from valar.commands.luigi_task import find_wrong_words
from valar.settings import SettingsError, find_store, use_settings


def valar(*words, cwd, **environment):
    """Run `valar WORDS` in a folder, as a user would, without an overlay in the environment."""
    inherited = {name: value for name, value in os.environ.items() if name != "LUIGI_CONFIG_PATH"}
    return subprocess.run(
        [sys.executable, "-P", "-m", "valar", *words],
        cwd=cwd,
        env={**inherited, "COLUMNS": "80", **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_called_with_nothing_it_helps_and_does_not_say_that_something_was_done(capsys):
    for words in ([], ["store"], ["weights"], ["models"], ["evaluate"], ["faces"], ["predict"], ["init"]):
        assert main(words) == 2, words
        printed = capsys.readouterr()
        assert printed.out.startswith(f"usage: {' '.join(['valar', *words])} "), words
        assert printed.err == ""


def test_it_says_its_version(capsys):
    with pytest.raises(SystemExit, match="0"):
        main(["--version"])
    assert capsys.readouterr().out == f"valar {__version__}\n"


def test_an_unknown_command_is_wrong_use(capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["frobnicate"])
    assert "invalid choice: 'frobnicate'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("task", "words", "told"),
    [
        ("FullRun", ["--wrong", "3"], "`valar run` does not know --wrong. `valar run --help` says more"),
        ("FullRun", ["--confg=a.cfg"], "`valar run` does not know --confg; did you mean --config?"),
        ("Features", ["--worker", "2"], "`valar features` does not know --worker; did you mean --workers?"),
        ("FullRun", ["clips"], "`valar run` does not know clips. "),
        ("FullRun", ["--workers"], "`valar run`: argument --workers: expected one argument; "),
        ("FullRun", ["--workers", "two"], "`valar run` cannot read --workers two; `valar run --help` says more"),
        ("FullRun", ["--workers", "2", "--log-level", "INFO", "--worker-wait-interval=2"], ""),
        ("Predict", ["--videos", "clips"], ""),
    ],
)
def test_what_luigi_does_not_understand_is_one_sentence(task, words, told):
    import pipeline.tasks  # noqa: F401 (registers the tasks)

    found = find_wrong_words(task, words)
    assert (found.startswith(told), "\n" in found, bool(found)) == (True, False, bool(told)), found


def test_a_wrong_option_of_a_run_ends_before_anything_is_done(tmp_path):
    (tmp_path / "valar.cfg").write_text("[run]\nroot = runs\n")
    ended = valar("run", "--wrong", cwd=tmp_path)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr == "`valar run` does not know --wrong. `valar run --help` says more\n"
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("words", ["run", "features", "status", "store ls", "store why a"])
def test_a_folder_without_settings_is_told_as_such_and_not_by_the_weights_that_are_not_there_either(words, tmp_path):
    ended = valar(*words.split(), cwd=tmp_path)
    assert (ended.returncode, ended.stdout, ended.stderr.count("\n")) == (2, "", 1), ended.stderr
    assert ended.stderr.startswith(f"{tmp_path} has no valar.cfg, and tasks.cfg alone means data/omg/")
    assert ended.stderr.endswith("; go to the folder of your valar.cfg, or write one: valar init CLIPS\n")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(name, capsys):
    with pytest.raises(SystemExit, match="0"):
        main([name, "--help"])
    printed = capsys.readouterr().out
    assert printed.startswith(f"usage: valar {name} ")
    if not COMMANDS[name].is_group:
        assert "Examples:\n  " in printed
        assert "--config FILE" in printed


def test_the_help_of_all_fits_a_terminal(tmp_path):
    ended = valar(cwd=tmp_path)
    assert ended.returncode == 2
    assert max(len(line) for line in ended.stdout.splitlines()) <= 80


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("videos = x\n", "bad.cfg:1: 'videos = x' is before the first section"),
        ("[run]\nseed 3\n", r"bad.cfg:2: 'seed 3\n' is neither `option = value` nor a [section]"),
        ("[run]\nseed = 1\n[run]\nseed = 2\n", "bad.cfg:3: [run] occurs twice; keep one"),
        ("[run]\nseed = 1\nseed = 2\n", "bad.cfg:3: seed of [run] occurs twice; keep one"),
        ("[run]\nsed = 1\n", "bad.cfg: option sed of [run] is unknown; did you mean seed?"),
        ("[run]\nseed = x\n", "bad.cfg: [run] seed = x: "),
    ],
)
@pytest.mark.parametrize("command", ["status", "run"])
def test_settings_that_cannot_be_read_are_told_in_one_sentence(command, text, sentence, tmp_path):
    (tmp_path / "bad.cfg").write_text(text, encoding="utf-8")
    ended = valar(command, "--config", "bad.cfg", cwd=tmp_path)
    assert ended.returncode == 2
    assert ended.stderr.startswith(sentence), ended.stderr
    assert ended.stderr.count("\n") == 1


def test_the_settings_named_count_before_those_of_the_environment_and_those_before_the_folder_s(tmp_path):
    for name in ("valar", "named", "environment"):
        settings = f"[dataset]\ntrain = of_{name}.csv\n[embeddings]\nweights = random\n[anet]\nvgg_weights = random\n"
        (tmp_path / f"{name}.cfg").write_text(settings, encoding="utf-8")
    words = ("status",)
    assert "of_valar.csv does not exist" in valar(*words, cwd=tmp_path).stderr
    overlay = {"LUIGI_CONFIG_PATH": "environment.cfg"}
    assert "of_environment.csv does not exist" in valar(*words, cwd=tmp_path, **overlay).stderr
    for named in (("--config", "named.cfg", *words), (*words, "--config=named.cfg")):
        assert "of_named.csv does not exist" in valar(*named, cwd=tmp_path, **overlay).stderr
    ended = valar(*words, "--config", "none.cfg", cwd=tmp_path)
    assert (ended.returncode, ended.stderr) == (2, "--config none.cfg does not exist; name a file of settings\n")


def test_the_store_is_that_of_the_settings_unless_one_is_named(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "valar.cfg").write_text("[store]\nroot = mine\n", encoding="utf-8")
    (tmp_path / "other" / "roots").mkdir(parents=True)
    for words, store in (
        (["show", "a/b"], "mine"),
        (["show", "other", "a/b"], "other"),
        (["show", "a/b", "--json"], "mine"),
        (["export", "--to", "npz", "target"], "mine"),
        (["diff", "other"], "mine"),
        (["show", "wrong/path", "a/b"], "wrong/path"),
    ):
        assert main(["store", *words]) == 2, words
        assert f"{store}/roots holds no listing" in capsys.readouterr().err, words


def test_a_shell_completes_commands_and_their_options(tmp_path):
    script = tmp_path / "completion"
    script.write_text(valar("completion", "bash", cwd=tmp_path).stdout, encoding="utf-8")
    for words, expected in (
        ("valar st", "status store"),
        ("valar store sh", "show"),
        ("valar predict --ch", "--checkpoint"),
    ):
        ask = f"source {script}; COMP_WORDS=({words}); COMP_CWORD={len(words.split()) - 1}; _shtab_valar"
        ended = subprocess.run(
            ["bash", "-c", f'{ask}; echo "${{COMPREPLY[@]}}"'], capture_output=True, text=True, check=True
        )
        assert ended.stdout.split() == expected.split(), ended.stderr


@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_settings_of_a_folder_end_where_the_process_leaves_it(tmp_path, monkeypatch, mark):
    for name in ("one", "two", "none"):
        (tmp_path / name).mkdir()
        if name != "none":
            text = f"{mark}[store]\nroot = store_of_{name}\n"
            (tmp_path / name / "valar.cfg").write_text(text, encoding="utf-8")
    monkeypatch.setenv("VALAR_OVERLAY", "")
    monkeypatch.delenv("VALAR_OVERLAY")
    found = []
    for name in ("one", "none", "two", "one"):
        monkeypatch.chdir(tmp_path / name)
        found.append((use_settings(), find_store().name))
    cfg = Path("valar.cfg")
    of_tasks = find_store_of_tasks_cfg()
    assert found == [(cfg, "store_of_one"), (None, of_tasks), (cfg, "store_of_two"), (cfg, "store_of_one")]
    monkeypatch.setenv("LUIGI_CONFIG_PATH", "mine.cfg")
    monkeypatch.chdir(tmp_path / "none")
    with pytest.raises(SettingsError, match=r"LUIGI_CONFIG_PATH mine\.cfg does not exist"):
        use_settings()


def find_store_of_tasks_cfg():
    """Give the name of the store's folder by tasks.cfg alone."""
    parser = configparser.ConfigParser(interpolation=None)
    parser.read(Path(__file__).resolve().parents[2] / "tasks.cfg", encoding="utf-8")
    return Path(parser["store"]["root"]).name
