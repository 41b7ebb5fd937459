"""The examples in docstrings of all modules are run: a module that gets its first example is found by itself."""

import doctest
import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
WITH_EXAMPLES = [
    path.relative_to(ROOT).with_suffix("")
    for package in ("store", "models", "pipeline", "valar")
    for path in sorted((ROOT / package).rglob("*.py"))
    if ">>> " in path.read_text(encoding="utf-8")
]


def test_there_are_modules_with_examples():
    assert len(WITH_EXAMPLES) >= 30


@pytest.mark.parametrize("path", WITH_EXAMPLES, ids=str)
def test_the_examples_of_a_module_give_what_they_say(path):
    module = importlib.import_module(".".join(path.parts))
    assert any(found.examples for found in doctest.DocTestFinder().find(module)), "`>>>` stands in no docstring"
    assert doctest.testmod(module).failed == 0
