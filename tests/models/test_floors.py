"""The floors of models/: who may import whom, wherever the import stands."""

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

#: From the lowest; a package imports from floors below its own, and from itself.
FLOORS = (
    ("paper", "compiled", "seeding", "tensor_files"),
    ("loading",),
    ("weights",),
    ("mtcnn", "sphereface"),
    ("networks",),
    ("inputs", "scores"),
    ("training",),
    ("__main__",),
)
#: Imports inside functions keep a slow package out of what does not need it.
LATE = {
    "models/mtcnn/networks.py": {"joblib"},
    "models/mtcnn/torch_engine.py": {"cv2"},
    "models/weights/download.py": {"py7zr"},
}


def find_imports(path):
    """(module, whether it stands inside a function) of all imports, typing-only ones too."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        late = node not in tree.body
        if isinstance(node, ast.Import):
            yield from ((alias.name, late) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.module, f"{path} has a relative import"
            yield from ((f"{node.module}.{alias.name}", late) for alias in node.names)


def find_modules():
    """Dotted name -> what it imports, of all of models/."""
    modules = {}
    for path in sorted((ROOT / "models").rglob("*.py")):
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        modules[name] = {module for module, _ in find_imports(path)}
    assert len(modules) > 40
    return modules


def test_no_import_runs_upward_or_beside():
    floor_of = {package: floor for floor, packages in enumerate(FLOORS) for package in packages}
    num_arrows = 0
    for name, imports in find_modules().items():
        own = name.split(".")[1]
        for module in imports if own != "__init__" else ():
            if module.startswith("models.") and (target := module.split(".")[1]) != own:
                num_arrows += 1
                assert floor_of[target] < floor_of[own], f"{name} imports {module}"
    assert num_arrows > 50


def test_no_module_imports_in_a_circle():
    modules = find_modules()
    below = {
        name: {
            other for other in modules if other != name and any(f"{each}.".startswith(f"{other}.") for each in found)
        }
        for name, found in modules.items()
    }
    while below:
        free = {name for name, others in below.items() if not others & below.keys()}
        assert free, f"a circle among {sorted(below)}"
        below = {name: others for name, others in below.items() if name not in free}


def test_imports_inside_functions_are_of_slow_packages():
    found = {}
    for path in (ROOT / "models").rglob("*.py"):
        late = {module.partition(".")[0] for module, is_late in find_imports(path) if is_late}
        if late:
            found[str(path.relative_to(ROOT))] = late
    assert found == LATE
