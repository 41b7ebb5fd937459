"""Modules of compiled C, which may be missing: where there was no compiler, or for another processor."""

import functools
import importlib
import logging
from types import ModuleType


@functools.cache
def load_compiled(name: str, layout: int) -> ModuleType | None:
    """Import a compiled module, if there is one that was made from the sources that belong to its caller.

    An installation without a compiler leaves an earlier one in its place, which would read arrays in another layout.

    Args:
        name: dotted.
        layout: its constant LAYOUT has to be this; both are raised together when the C code changes what it takes.

    Returns:
        The module; None where it is missing or another one (which is logged).
    """
    try:
        module = importlib.import_module(name)
    except ImportError:
        return None
    found = getattr(module, "LAYOUT", None)
    if found != layout:
        message = "%s was compiled from other sources (layout %s instead of %d) and is not used; run `make` again"
        logging.getLogger("valar").warning(message, module.__file__, found, layout)
        return None
    return module
