"""The wheel in an environment without access to the repository."""

import os
import re
import shutil
import subprocess
import sys
import zipfile
from email.parser import Parser
from pathlib import Path

import imageio_ffmpeg
import pytest

from tests.conftest import ROOT
from tests.valar.test_tutorial import check_walk, walk_tutorial

PARTS = ("valar", "store", "models", "pipeline", "pyproject.toml", "setup.py", "MANIFEST.in", "LICENSE", "README.md")
FILES = (*PARTS, "requirements.txt", "tasks.cfg", "demo.cfg", "luigid.cfg")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """A wheel built from a copy of the sources, without the compiled modules."""
    source = tmp_path_factory.mktemp("source")
    for name in FILES:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("*.so", "__pycache__"))
        else:
            shutil.copy(ROOT / name, source / name)
    command = ["pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", str(source / "dist"), "."]
    subprocess.run([sys.executable, "-m", *command], cwd=source, env={**os.environ, "CC": "false"}, check=True)
    (found,) = (source / "dist").glob("*.whl")
    return found


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """Programs of an environment with the wheel, which sees the packages of this one but not the repository."""
    folder = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    command = ["pip", "--python", str(folder / "bin" / "python"), "install", "--quiet", "--no-deps", str(wheel)]
    subprocess.run([sys.executable, "-m", *command], check=True)
    (own,) = (folder / "lib").glob("python*/site-packages")
    # Python does not read path files in the folders of a path file, such as that of this checkout's editable install.
    (own / "others.pth").write_text(f"{Path(imageio_ffmpeg.__file__).parent.parent}\n")
    return folder / "bin"


def test_the_container_s_build_has_what_the_wheel_is_built_from():
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    build = text.split("\nFROM ")[1]
    copied = {word for line in re.findall(r"^COPY (.*)", build, re.M) for word in line.split()[:-1]}
    assert set(FILES) <= copied, set(FILES) - copied
    built_from = set(re.findall(r"[a-z]+\.cfg", (ROOT / "setup.py").read_text(encoding="utf-8")))
    assert built_from == {name for name in FILES if name.endswith(".cfg")}


def test_the_wheel_brings_the_dependencies_the_settings_and_the_command(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        for name in ("tasks.cfg", "demo.cfg", "luigid.cfg"):
            assert archive.read(f"pipeline/{name}") == (ROOT / name).read_bytes()
        (metadata,) = (name for name in names if name.endswith(".dist-info/METADATA"))
        found = Parser().parsestr(archive.read(metadata).decode())
    kept = [path for package in PARTS[:4] for path in (ROOT / package).rglob("*") if path.is_file()]
    built = {".c", ".h", ".so", ".pyc"}
    carried = {str(path.relative_to(ROOT)) for path in kept if path.suffix not in built}
    assert len(carried) > 150
    assert carried <= set(names)
    assert not [name for name in names if name.startswith(("tests", "benchmarks", "docs"))]
    assert any(name.endswith("licenses/LICENSE") for name in names)
    stated = (ROOT / "requirements.txt").read_text().splitlines()
    pins = [line.partition("#")[0].strip() for line in stated if line and line[0] not in "#-"]
    required = [line for line in found.get_all("Requires-Dist") if "extra ==" not in line]
    assert sorted(required) == sorted(pins)
    assert len(pins) >= 15


def test_the_wheel_works_where_there_is_no_repository(installed, tmp_path):
    environment = {name: value for name, value in os.environ.items() if name not in ("LUIGI_CONFIG_PATH", "PYTHONPATH")}

    def run(*words):
        ended = subprocess.run(words, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        assert "Traceback" not in ended.stderr, ended.stderr
        return ended

    place = run(installed / "python", "-c", "import store; print(store.__file__)").stdout
    assert place.startswith(str(installed.parent)), place
    (tmp_path / "clips").mkdir()
    sources = ["-f", "lavfi", "-i", "testsrc2=size=64x48:rate=10:duration=1", "-f", "lavfi", "-i", "sine=duration=1"]
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", *sources, str(tmp_path / "clips" / "a.mkv")]
    subprocess.run(command, check=True)

    assert run(installed / "valar", "--version").stdout.startswith("valar ")
    assert run(installed / "valar", "init", "clips").returncode == 0
    with (tmp_path / "valar.cfg").open("a") as settings:
        settings.write("[embeddings]\nweights = random\n")
    ended = run(installed / "valar", "run")
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.startswith(
        "[dataset] train is empty, so there is nothing to train on; `valar features` computes"
    )
    assert run(installed / "valar", "status").returncode == 3
    ended = run(installed / "valar", "features")  # without VGG-16's weights, from which only training starts
    assert ended.returncode == 0, ended.stderr
    assert "clips/a,test,ok,no_face,100,0," in (tmp_path / "runs" / "ledger.csv").read_text()
    ended = run(installed / "valar", "status")
    assert (ended.returncode, ended.stdout.splitlines()[-1]) == (0, "nothing to do")
    shown = run(installed / "valar", "store", "show", "clips/a")
    assert shown.returncode == 0
    assert "100 x 257 x 2" in shown.stdout


@pytest.mark.slow
def test_the_tutorial_s_commands_lead_to_a_report_from_the_wheel_alone(installed, tmp_path):
    check_walk(tmp_path, walk_tutorial(tmp_path, installed))
