"""A check that the packages `store`, `models` and `pipeline` that Python finds are Valar's own."""

from importlib.util import find_spec
from pathlib import Path

OWN = ("store", "models", "pipeline")


def check_packages() -> None:
    """Refuse to work if a folder or module of the user has the name of one of Valar's packages.

    A folder without `__init__.py` does no harm: Python prefers a package that comes later on its path.

    Raises:
        ImportError: Names the folder or module, and what to do.
    """
    here = Path(__file__).resolve().parent.parent
    for name in OWN:
        spec = find_spec(name)
        found = None if spec is None else spec.origin or next(iter(spec.submodule_search_locations or ()), None)
        if found is None:
            raise ImportError(f"Valar's package {name} is not installed beside {here / 'valar'}; install Valar again")
        place = Path(found).resolve()
        if place not in (here / name, here / name / "__init__.py"):
            shown = place.parent if place.name == "__init__.py" else place
            raise ImportError(
                f"{shown} is in the way: it hides Valar's own package of the name {name}. Rename it, or start Python "
                f"in another folder"
            )
