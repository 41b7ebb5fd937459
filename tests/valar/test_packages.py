"""`import valar` in a folder that has a `store`, `models` or `pipeline` of the user's own."""

import re
import subprocess
import sys

import pytest

from tests.conftest import ROOT

CODE = "import valar; print(valar.open)\ntry:\n    valar.open('nowhere')\nexcept Exception as error:\n    print(error)"


def import_in(folder):
    """Import by an interpreter whose path begins with the folder, as a notebook's does."""
    ended = subprocess.run([sys.executable, "-c", CODE], cwd=folder, capture_output=True, text=True, check=True)
    return ended.stdout.splitlines()[-1]


def test_folders_of_data_under_our_names_do_no_harm(tmp_path):
    for name in ("store", "models", "pipeline", "valar"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "data.bin").touch()
    assert import_in(tmp_path).startswith("nowhere/roots holds no listing")


@pytest.mark.parametrize("place", ["models/__init__.py", "models.py"])
def test_a_package_of_the_user_s_under_our_name_is_said_to_be_in_the_way(place, tmp_path):
    (tmp_path / place).parent.mkdir(exist_ok=True)
    (tmp_path / place).touch()
    shown = tmp_path / "models" if place.endswith("__init__.py") else tmp_path / "models.py"
    assert import_in(tmp_path) == (
        f"{shown} is in the way: it hides Valar's own package of the name models. Rename it, or start Python in "
        "another folder"
    )
    # The command does not look into the current folder for code.
    command = [sys.executable, "-P", "-m", "valar", "--version"]
    assert subprocess.run(command, cwd=tmp_path, check=False).returncode == 0


def test_importing_valar_is_light_and_nothing_of_ours_imports_it():
    heavy = ["luigi", "torch", "numpy", "h5py", "store", "models", "pipeline"]
    code = f"import sys, valar; print([name for name in {heavy} if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
    paths = [path for package in ("store", "models", "pipeline") for path in (ROOT / package).rglob("*.py")]
    assert len(paths) > 100
    assert not [path for path in paths if re.search(r"^\s*(import|from) valar\b", path.read_text("utf-8"), re.M)]
