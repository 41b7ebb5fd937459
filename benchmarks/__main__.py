"""`python -m benchmarks [NAME] [OPTIONS]`: run one benchmark, or list all."""

import importlib
import pkgutil
import sys
from collections.abc import Sequence

import benchmarks


def main(argv: Sequence[str] | None = None) -> int:
    """Run the named benchmark with the other arguments; each module with a `main` is a benchmark."""
    given = list(sys.argv[1:] if argv is None else argv)
    modules = {found.name: f"benchmarks.{found.name}" for found in pkgutil.iter_modules(benchmarks.__path__)}
    if given and given[0] in modules:
        module = importlib.import_module(modules[given[0]])
        return int(module.main(given[1:]) or 0)
    for path in modules.values():
        # The recipe's workers run in their own environments and import packages that are not installed here.
        if path.endswith(("__main__", "_worker")):
            continue
        module = importlib.import_module(path)
        if hasattr(module, "main"):
            print(f"{path.split('.')[1]:16} {(module.__doc__ or '').splitlines()[0]}")
    return 0 if not given else 2


if __name__ == "__main__":
    sys.exit(main())
