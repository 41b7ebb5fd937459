"""Ctrl-C is answered from the first moment on."""

import subprocess
import sys
from pathlib import Path

import pytest

import valar
from tests.pipeline.report.reports import write_made_report
from tests.store.stores import make_store

ROOT = Path(__file__).resolve().parent.parent.parent

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


@pytest.mark.parametrize("package", ["numpy", "valar.cli", "store.commands.command"])
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


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
@pytest.mark.parametrize("words", ["weights list", "report"])
def test_where_nothing_can_be_printed_it_says_so(tmp_path, words):
    write_made_report(tmp_path / "runs" / "latest")
    (tmp_path / "valar.cfg").write_text("[run]\nroot = runs\n")
    with Path("/dev/full").open("w") as full:
        ended = subprocess.run(
            [sys.executable, "-m", "valar", *words.split()],
            cwd=tmp_path,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
        )
    assert ended.returncode == 2, ended.stderr
    assert ended.stderr == (
        "the output cannot be written (No space left on device); make room or name another place, and give the same "
        "command again\n"
    )


@pytest.mark.parametrize("module", ["pipeline", "store"])
def test_the_same_for_the_packages_by_themselves(tmp_path, module):
    write_made_report(tmp_path / "report")
    make_store(tmp_path / "store")
    words = ["report", str(tmp_path / "report")] if module == "pipeline" else ["ls", str(tmp_path / "store")]
    with Path("/dev/full").open("w") as full:
        ended = subprocess.run(
            [sys.executable, "-m", module, *words], cwd=ROOT, stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert ended.returncode == 2
    assert ended.stderr.startswith("the output cannot be written (No space left on device)")
    assert ended.stderr.count("\n") == 1
