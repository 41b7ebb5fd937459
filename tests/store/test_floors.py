"""No import inside of store/ runs upward or in a circle, not for a type and not inside of a function either."""

import ast
from pathlib import Path

STORE = Path(__file__).resolve().parents[2] / "store"

# From the bottom up: a module or room imports only what stands on a line above its own, or in its own room.
FLOORS = [
    {"errors", "names", "schema", "text", "files"},
    {"features", "explaining"},
    {"json_files", "layout"},
    {"records", "pages_mark", "lock", "labels"},
    {"shard"},
    {"tables"},
    {"catalog", "overview", "tending"},
    {"looking"},
    {"export"},
    {"commands"},
    {"__main__", "__init__"},
]


def find_imports(path):
    """Dotted names of the store's modules that a module imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.partition(".")[0] == "store")
        elif isinstance(node, ast.ImportFrom) and node.module == "store":
            yield from (f"store.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("store."):
            yield node.module


def test_no_import_runs_upward():
    heights = {room: height for height, floor in enumerate(FLOORS) for room in floor}
    seen = 0
    for path in sorted(STORE.rglob("*.py")):
        room = path.relative_to(STORE).parts[0].removesuffix(".py")
        for module in find_imports(path):
            theirs = module.split(".")[1]
            assert theirs == room or heights[theirs] < heights[room], f"{path.relative_to(STORE)} imports {module}"
            seen += 1
    assert seen > 100


def test_no_import_runs_in_a_circle_inside_of_a_room():
    modules = {
        ".".join(("store", *path.relative_to(STORE).with_suffix("").parts)): path for path in STORE.rglob("*.py")
    }
    done, at_work = set(), []

    def visit(name):
        assert name not in at_work, f"a circle of imports: {' -> '.join([*at_work, name])}"
        if name in done or name not in modules:
            return
        at_work.append(name)
        for imported in find_imports(modules[name]):
            visit(imported)
        done.add(at_work.pop())

    for name in modules:
        visit(name)
    assert len(done) > 30
