"""JSON of files is read in one place, which knows deep nesting, wrong types, pipes and numbers of any length."""

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
#: What else reads JSON, and why it may.
OTHERS = {
    "store/json_files.py": "the one place",
    "models/weights/digests.py": "models imports nothing of the store; catches all of it",
    "models/features/exported.py": "an archive's own table, whose digest the user has named; catches all of it",
    "pipeline/training/launcher.py": "lines of the processes that it has started",
    "store/looking/page_worker.py": "lines of the process that has started it, and of those that it has started",
    "pipeline/training/request.py": "written a moment ago by the process that started this one",
    "pipeline/training/records/record.py": "of a text that it has just made",
    "pipeline/prediction/predicting.py": "a word of the command line; catches all of it",
    "pipeline/dataset/overrides.py": "only what is the same as the text that the run's own overrides give",
}


def find_readers():
    for package in ("store", "models", "pipeline", "valar"):
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                is_named = isinstance(node, ast.Attribute) and node.attr in ("load", "loads")
                if is_named and isinstance(node.value, ast.Name) and node.value.id == "json":
                    yield str(path.relative_to(ROOT))


def test_json_of_files_is_read_in_one_place():
    assert set(find_readers()) == set(OTHERS)
