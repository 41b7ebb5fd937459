"""Errors come back whole from another process."""

import ast
import importlib
import pickle
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent


def find_error_classes():
    """Find all errors that our code declares."""
    found = []
    for package in ("models", "pipeline", "store"):
        for path in sorted((ROOT / package).rglob("*.py")):
            classes = [node for node in ast.parse(path.read_text(encoding="utf-8")).body if type(node) is ast.ClassDef]
            names = [node.name for node in classes if node.name.endswith("Error")]
            if names:
                module = importlib.import_module(".".join(path.relative_to(ROOT).with_suffix("").parts))
                found += [getattr(module, name) for name in names]
    return found


# What is made of more than its message.
MADE_OF = {
    "DatasetError": lambda kind: kind(["a.csv:1: x", "a.csv:2: y"]),
    "MediaError": lambda kind: kind("no_stream", "it has none"),
    "WrongDigestError": lambda kind: kind(Path("w.pth"), expected="aa", found="bb", remedy="fetch it"),
}


def test_every_error_comes_back_whole_from_another_process():
    classes = find_error_classes()
    assert len(classes) >= 17
    for kind in classes:
        error = MADE_OF.get(kind.__name__, lambda kind: kind("it has none"))(kind)
        back = pickle.loads(pickle.dumps(error))
        assert type(back) is kind
        assert str(back) == str(error)
        assert getattr(back, "status", None) == getattr(error, "status", None)
        assert getattr(back, "problems", None) == getattr(error, "problems", None)
