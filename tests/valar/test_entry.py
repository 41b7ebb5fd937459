"""Ctrl-C is answered from the first moment on."""

import subprocess
import sys

import pytest

import valar

#: Ctrl-C while a package is imported that the command needs.
STRIKE = """
import sys
class Striking:
    def find_spec(self, name, path=None, target=None):
        if name == {package!r}:
            raise KeyboardInterrupt
sys.meta_path.insert(0, Striking())
sys.argv = ["valar", "store", "ls", "nowhere"]
from valar.entry import main
sys.exit(main())
"""


@pytest.mark.parametrize("package", ["numpy", "h5py", "valar.cli", "argparse", "store.commands.command"])
def test_ctrl_c_while_packages_are_imported_is_a_sentence(package):
    command = [sys.executable, "-c", STRIKE.format(package=package)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 130
    assert ended.stderr.startswith("stopped")
    assert ended.stderr.count("\n") == 1


def test_nothing_that_takes_time_is_imported_before():
    heavy = ["argparse", "email", "numpy", "store"]
    code = f"import sys, valar.entry; print([name for name in {heavy} if name in sys.modules])"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout == "[]\n"


def test_a_name_that_valar_has_not_is_told():
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        valar.nothing  # noqa: B018
