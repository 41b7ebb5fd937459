"""Who may import whom (the rules that let store/ and models/ run where luigi is not)."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def imports_at_module_level(path):
    """Names of the top-level packages that a module imports when it is imported, type-checking blocks left out."""
    names = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.partition(".")[0])
    return names


@pytest.mark.parametrize(
    ("package", "allowed"), [("store", {"store", "numpy", "h5py"}), ("models", {"models", "numpy", "torch"})]
)
def test_a_package_imports_only_what_it_may(package, allowed):
    paths = sorted((ROOT / package).rglob("*.py"))
    assert len(paths) >= 8
    for path in paths:
        foreign = imports_at_module_level(path) - allowed - set(sys.stdlib_module_names)
        assert not foreign, f"{path.relative_to(ROOT)} imports {foreign}"


@pytest.mark.parametrize("package", ["store", "models"])
def test_nothing_imports_the_pipeline(package):
    for path in (ROOT / package).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            modules = []
            if isinstance(node, ast.Import):
                modules = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                modules = [node.module or ""]
            assert not any(module.partition(".")[0] == "pipeline" for module in modules), path


@pytest.mark.parametrize("module", ["pipeline.tasks", "pipeline.__main__", "models.weights.table"])
def test_what_an_idle_run_imports_is_light(module):
    heavy = ["torch", "cv2", "scipy", "matplotlib", "av", "skimage"]
    code = f"import sys, {module}; print([name for name in {heavy} if name in sys.modules])"
    ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert ended.stdout == "[]\n"
