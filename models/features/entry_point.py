"""Networks as installed code: `package.module:callable` is called once with the device and returns the network."""

import importlib
import importlib.util
from pathlib import Path
from typing import Any

from models.features.network import ModelError, Network


def split_entry_point(text: str) -> tuple[str, str]:
    """Split `package.module:callable` into module and callable.

    Raises:
        ModelError: it is written in another way.
    """
    module, colon, name = text.partition(":")
    if not colon or not all(part.isidentifier() for part in (*module.split("."), *name.split("."))):
        raise ModelError(f"{text!r} must be a file .onnx or .pt2, or package.module:callable")
    return module, name


def find_source(text: str) -> Path:
    """Find the module's file. The module is not imported, but the packages that contain it are.

    Raises:
        ModelError: there is no such module.
    """
    module, _ = split_entry_point(text)
    try:
        spec = importlib.util.find_spec(module)
    except (ImportError, ValueError) as error:
        raise ModelError(f"there is no module {module}: {error}; install its package here") from error
    if spec is None or spec.origin is None:
        raise ModelError(f"there is no module {module}; install its package here, or put its folder into PYTHONPATH")
    return Path(spec.origin)


def load_entry_point(text: str, *, device: str) -> Network:
    """Import the module and call its callable with the device, "cpu" or "cuda".

    Raises:
        ModelError: there is no such callable, or it does not return a callable. Its own errors are passed on.
    """
    module, name = split_entry_point(text)
    find_source(text)
    found: Any = importlib.import_module(module)
    for part in name.split("."):
        found = getattr(found, part, None)
    if not callable(found):
        raise ModelError(f"{module} has no callable {name}")
    network = found(device)
    if not callable(network):
        raise ModelError(f"{text} gives {type(network).__name__}: it must give a function of arrays")
    return network
