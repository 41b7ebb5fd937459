"""Every row of docs/media.md names tests that exist."""

import ast
import re

from tests.pipeline.conftest import ROOT

HERE = ROOT / "tests" / "pipeline" / "media"
FILES = {"V": "sound/test_sound_values.py", "F": "sound/test_ffmpeg.py", "D": "test_media_damage.py"}


def find_tests(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")}


def test_every_row_names_tests_that_exist():
    rows = [row for row in (ROOT / "docs" / "media.md").read_text(encoding="utf-8").splitlines() if row[:2] == "| "]
    rows = [row for row in rows if not row.startswith(("| kind |", "| what the clip does |"))]
    assert len(rows) > 40
    for row in rows:
        cell = row.strip("| ").rpartition(" | ")[2]
        path, named = None, []
        for letter, file, test in re.findall(r"\b([VFD]) (?=`)|`([\w/.]*\.py)?(?:::)?(test_\w+)?`", cell):
            path = HERE / FILES[letter] if letter else path
            if file:
                path = ROOT / file if file.startswith("tests/") else HERE / file
                named += [] if test else sorted(find_tests(path))
            if test:
                assert path is not None, row
                assert test in find_tests(path), f"{path}::{test} is not there: {row}"
                named.append(test)
        assert named, f"no test is named: {row}"
