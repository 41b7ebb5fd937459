"""Every test that docs/security.md names is there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


PLACES = [ROOT, ROOT / "tests", ROOT / "tests/store", ROOT / "tests/pipeline"]


def find_rows():
    lines = (ROOT / "docs/security.md").read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line.startswith("| ") and "| outcome | test" not in line]


def find_tests(row):
    """Give the files that a row names, each with the test in it or ""."""
    return re.findall(r"`([\w/]*test_\w+\.py)(?:::(test_\w+))?`", row)


@pytest.mark.parametrize("row", find_rows(), ids=lambda row: row[2:50])
def test_each_row_names_tests_that_exist(row):
    tests = find_tests(row)
    assert tests, "a row without a test"
    for path, name in tests:
        files = [place / path for place in PLACES if (place / path).is_file()]
        assert files, f"there is no {path}"
        assert any(f"def {name}(" in file.read_text(encoding="utf-8") for file in files) or not name, f"no {name}"


def test_the_table_is_read():
    assert len(find_rows()) > 60
    assert sum(bool(name) for row in find_rows() for _, name in find_tests(row)) > 15
