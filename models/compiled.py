"""Loading of compiled C modules. A module may be missing: there was no compiler, or the processor is another one."""

import functools
import importlib
import logging
from types import ModuleType


@functools.cache
def load_compiled(name: str, layout: int) -> ModuleType | None:
    """Import a compiled module if it exists and was compiled from the sources that the caller expects.

    An installation without a compiler leaves an earlier module in place, which would read arrays in another layout.

    Args:
        name: the module's dotted name.
        layout: the value that the module's constant LAYOUT must have. Both are raised together when the C code changes
            its arguments.

    Returns:
        The module. None if it is missing, or if its LAYOUT differs (which is logged).
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
