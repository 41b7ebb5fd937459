"""Who may import whom: the layers, and the floors inside a package."""

import ast
import re
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parent.parent

# From the bottom up: a module or room imports only what stands on a line above its own, or in its own room. What shares
# a line does not import each other. A type or an import inside a function counts like any other.
FLOORS = {
    "models": [
        {"paper", "choices", "closed_pipes", "compiled", "processor", "seeding", "tables", "whole_files"},
        {"tensor_files"},
        {"loading"},
        {"weights"},
        {"mtcnn", "sphereface", "features"},
        {"networks"},
        {"inputs", "scores"},
        {"training"},
        {"__main__"},
    ],
    "pipeline": [
        {"errors", "chain", "json_shapes"},
        {"settings", "process", "progress"},
        {"dataset", "media"},
        {"faces"},
        {"runs"},
        {"stages"},
        {"training"},
        {"report"},
        {"prediction"},
        {"commands", "demo"},
        {"session"},
        {"shard_tasks"},
        {"tasks", "__main__"},
    ],
}
# What a run with nothing to do does without: an import inside a function is there to keep one of these out.
HEAVY = {"torch", "cv2", "scipy", "av", "matplotlib", "soundfile", "ffmpeg", "imageio_ffmpeg", "skimage", "jinja2"}
HEAVY |= {"joblib", "py7zr"}
# Not among the requirements: looked for only when asked for.
OPTIONAL = {"opensmile", "sklearn", "onnxruntime"}


class Import(NamedTuple):
    """A module that another imports.

    Attributes:
        module: dotted name of the module, or of the package that was imported from.
        is_inside: whether it is imported in a function, when that is called.
        is_typing: whether only type checkers see it.
    """

    module: str
    is_inside: bool
    is_typing: bool


def find_modules(package):
    """Dotted names of a package's modules and their files."""
    found = {}
    for path in sorted((ROOT / package).rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


MODULES = {name: path for package in ("store", "models", "pipeline") for name, path in find_modules(package).items()}


@cache
def find_imports(name):
    """Everything that a module imports, wherever in it."""
    tree = ast.parse(MODULES[name].read_text(encoding="utf-8"))
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    guards = [node for node in ast.walk(tree) if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)]
    inside, typing = ({id(below) for node in nodes for below in ast.walk(node)} for nodes in (functions, guards))
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [Import(alias.name, id(node) in inside, id(node) in typing) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{name}: write {node.module} with its package"
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                name_of = whole if whole in MODULES else node.module
                found.append(Import(name_of, id(node) in inside, id(node) in typing))
    return found


def imports_at_module_level(path):
    """Names of the top-level packages that a module imports when it is imported, type-checking blocks left out."""
    names = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.partition(".")[0])
    return names


def floor_of(name):
    """The package, the room, and how high it stands; None for a package itself, whose __init__ imports nothing."""
    package, _, rest = name.partition(".")
    room = rest.partition(".")[0]
    height = next((i for i, floor in enumerate(FLOORS[package]) if room in floor), None)
    assert height is not None or not room, f"{name} stands on no floor: name {room!r} in FLOORS"
    return room, height


@pytest.mark.parametrize("package", FLOORS)
def test_no_import_runs_upward(package):
    for name in find_modules(package):
        room, height = floor_of(name)
        for imported in {found.module for found in find_imports(name)} & MODULES.keys():
            if imported.partition(".")[0] != package or imported == package:
                continue
            their_room, their_height = floor_of(imported)
            assert room, f"{name} is the package itself and imports {imported}"
            assert their_room == room or their_height < height, f"{name} imports upward: {imported}"


@pytest.mark.parametrize("package", FLOORS)
def test_no_import_runs_in_a_circle(package):
    done, at_work = set(), []

    def visit(name):
        assert name not in at_work, f"a circle of imports: {' -> '.join([*at_work, name])}"
        if name in done:
            return
        at_work.append(name)
        for found in find_imports(name):
            if found.module in MODULES:
                visit(found.module)
        done.add(at_work.pop())

    for name in find_modules(package):
        visit(name)


def test_the_drawing_has_the_arrows_that_the_imports_have():
    def room_of(name):
        package, _, rest = name.partition(".")
        return rest.partition(".")[0] if package == "pipeline" else package

    arrows = {}
    for name in find_modules("pipeline"):
        for imported in {found.module for found in find_imports(name)} & MODULES.keys() - {"pipeline"}:
            if room_of(imported) != room_of(name):
                arrows.setdefault(room_of(name), set()).add(room_of(imported))
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    drawn = {
        room: set(names.split(", ")) for room, names in re.findall(r"^\| `(\w+)` \| ([\w, ]+) \|$", text, re.MULTILINE)
    }
    assert drawn == arrows
    rooms = {room for floor in FLOORS["pipeline"] for room in floor}
    assert rooms <= set(re.findall(r"\w+", text)), "a room is missing from the drawing"


def test_stages_trainings_and_reports_read_the_settings_of_their_run():
    below = [
        name for name in MODULES if name.startswith(("pipeline.stages.", "pipeline.training.", "pipeline.report."))
    ]
    assert len(below) > 25
    for name in below:
        assert "pipeline.settings.sections" not in {found.module for found in find_imports(name)}, name
        for line in MODULES[name].read_text(encoding="utf-8").splitlines():
            assert not re.search(r"import config\b|Settings\.read\(", line), f"{name}: {line}; take run.settings"


# A file gets its final name from the one writer of its layer. What the others rename is no file that they write: an
# export's folder, a download that goes on after an interruption, a report's folder, sound within scratch.
WRITERS = {"store.files", "models.whole_files"}
RENAMING = {
    "store.export.formats",
    "models.weights.download",
    "pipeline.report.report_files",
    "pipeline.media.sound.extraction",
}


def renames(node):
    """Whether a node of a module's tree is a call that renames a file or a folder."""
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
        return False
    of, method, num_values = ast.unparse(node.func.value), node.func.attr, len(node.args) + len(node.keywords)
    if of == "os" and method in ("rename", "replace", "renames"):
        return True
    return method in ("rename", "replace") and num_values == 1 and of != "dataclasses"


def test_a_layer_has_one_writer_of_whole_files():
    found = {
        name
        for name, path in MODULES.items()
        if any(map(renames, ast.walk(ast.parse(path.read_text(encoding="utf-8")))))
    }
    assert found == WRITERS | RENAMING


def test_no_function_is_longer_than_sixty_lines():
    functions = {
        f"{name}.{node.name}": node.end_lineno - node.lineno + 1
        for name, path in MODULES.items()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef)
    }
    assert len(functions) > 1000
    assert {name: length for name, length in functions.items() if length > 60} == {}


def find_weight(name):
    """The heavy packages that come along with a module, in whichever module they are imported."""
    reached, waiting = set(), [name]
    while waiting:
        module = waiting.pop()
        if module and module not in reached:
            reached.add(module)
            waiting.append(module.rpartition(".")[0])  # a package is imported before what is in it
            if module in MODULES:
                waiting += [f.module for f in find_imports(module) if not (f.is_inside or f.is_typing)]
    return reached & (HEAVY | OPTIONAL)


@pytest.mark.parametrize("package", FLOORS)
def test_imports_in_functions_and_for_types_keep_something_heavy_out(package):
    seen = 0
    for name in find_modules(package):
        for found in find_imports(name):
            if found.is_inside or found.is_typing:
                seen += 1
                assert find_weight(found.module), f"{name}: import {found.module}, which is light, at the top"
    assert seen >= {"models": 3, "pipeline": 10}[package]


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
    for name in find_modules(package):
        for found in find_imports(name):
            assert found.module.partition(".")[0] != "pipeline", name


@pytest.mark.parametrize("module", ["pipeline.tasks", "pipeline.__main__", "models.weights.table"])
def test_what_an_idle_run_imports_is_light(module):
    heavy = ["torch", "cv2", "scipy", "matplotlib", "av", "skimage"]
    code = f"import sys, {module}; print([name for name in {heavy} if name in sys.modules])"
    ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert ended.stdout == "[]\n"
