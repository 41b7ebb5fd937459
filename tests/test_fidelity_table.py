"""docs/fidelity.md names places and tests that exist."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TABLE = (ROOT / "docs" / "fidelity.md").read_text(encoding="utf-8")


def test_every_named_test_exists():
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", TABLE)
    assert len(named) > 35
    for path, name in named:
        tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
        assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}, f"{path}::{name}"


def test_every_named_place_exists_and_every_row_has_one():
    for path in re.findall(r"`((?:models|pipeline|store|tests)/[\w/]+\.py)`", TABLE):
        assert (ROOT / path).is_file(), path
    rows = [line for line in TABLE.splitlines() if line.startswith("| ") and not line.startswith("| statement")]
    assert len(rows) >= 27
    for row in rows:
        cells = re.split(r"(?<!\\)\|", row)[1:-1]
        assert len(cells) == 4, row
        assert ".py" in cells[2], row
        assert "::test_" in cells[3], row
