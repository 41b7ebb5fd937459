"""Every file and every test that the documentation or a comment names is there."""

import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("pipeline", "store", "models", "valar", "tests", "benchmarks", "docs")
PAGES = [
    *sorted((ROOT / "docs").rglob("*.md")),
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "store/FORMAT.md", "Makefile", "pyproject.toml")),
]
CODE = [
    path for package in PACKAGES for ending in ("py", "c", "h", "j2") for path in (ROOT / package).rglob(f"*.{ending}")
]
# What looks like a path into the repository: a package, then folders, then a file with an ending of ours; `*` may stand
# for a part of a name. A page also names files without the packages above them (`stages/sound.py`, `chain.py`).
WHOLE = re.compile(rf"(?<![\w/.<>$~-])(?:{'|'.join(PACKAGES)})/[\w./*-]*\.(?:py|md|c|h|cfg|j2)\b")
PART = re.compile(r"`((?:[\w-]+/)*[\w-]+\.(?:py|c|h))`")
TEST = re.compile(r"`?(?:::)?(test_\w+)`")
DECISION = re.compile(r"\bdocs/decisions/(\d{3})\b|\bdecisions? (\d+)\b")
#: A file of a user's own, in docs/decisions/021.
EXAMPLES = {"models.py"}


@cache
def list_files():
    """All files, relative to the repository, of the folders that are named above."""
    return {str(path.relative_to(ROOT)) for package in PACKAGES for path in (ROOT / package).rglob("*.*")}


def is_there(name):
    return name in list_files() or any(ROOT.glob(name))


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_file_and_test_that_a_page_names_is_there(path):
    text = path.read_text(encoding="utf-8")
    parts = set(PART.findall(text)) - EXAMPLES
    missing = [name for name in WHOLE.findall(text) if not is_there(name)]
    missing += [name for name in parts if not any(f"/{known}".endswith(f"/{name}") for known in list_files())]
    assert missing == []
    files = {Path(name).stem for name in list_files()}
    assert set(TEST.findall(text)) - list_tests() - files == set()


@cache
def list_tests():
    """The names of all tests."""
    found = set()
    for path in (ROOT / "tests").rglob("*.py"):
        found.update(re.findall(r"^(?:    )?def (test_\w+)", path.read_text(encoding="utf-8"), re.MULTILINE))
    return found


def test_every_file_that_the_code_names_is_there():
    missing = []
    for path in CODE:
        for name in WHOLE.findall(path.read_text(encoding="utf-8")):
            if not is_there(name) and "version-N" not in name:
                missing.append(f"{path.relative_to(ROOT)}: {name}")
    assert missing == []


def test_every_decision_that_is_named_is_there():
    there = {int(path.name[:3]) for path in (ROOT / "docs" / "decisions").glob("[0-9][0-9][0-9]-*.md")}
    assert len(there) >= 20
    for path in (*PAGES, *CODE):
        for pair in DECISION.findall(path.read_text(encoding="utf-8")):
            number = int("".join(pair))
            assert number in there, f"{path.relative_to(ROOT)} names decision {number}"
