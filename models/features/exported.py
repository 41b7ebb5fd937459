"""Networks as torch.export files (.pt2).

Loading such a file can run code (torch 2.13): weights may be pickles, which torch.export.load opens without
restriction, and sympy evaluates the sizes in the graph. So the user has to name the file's digest, and even then a file
with a pickle is refused.
"""

import io
import json
import zipfile
from typing import Any

import numpy as np
import torch

from models.choices import FeaturePrecision
from models.features.network import ModelError, Network, first_line

_LAYOUT = "archive_format"
_PICKLED = ("custom_obj", "opaque_obj")


def load_exported(data: bytes, *, device: str, precision: FeaturePrecision) -> Network:
    """Load a network from a .pt2 file's bytes. The caller has compared them with the digest that the user trusts.

    Args:
        data: the file's content.
        device: "cpu" or "cuda".
        precision: of products and convolutions (autocast).

    Raises:
        ModelError: the file holds a pickle, or torch cannot load it.
    """
    check_archive(data)
    try:
        module = torch.export.load(io.BytesIO(data)).module().to(device)
    except Exception as error:  # a damaged graph can raise any error
        raise ModelError(f"torch cannot load it: {first_line(error)}") from error

    def run(batch: np.ndarray) -> np.ndarray:
        kind = torch.device(device).type
        with torch.inference_mode(), torch.autocast(kind, torch.bfloat16, enabled=precision == "bfloat16"):
            try:
                given = module(torch.from_numpy(batch).to(device))
            except Exception as error:
                raise ModelError(f"torch cannot run it on {batch.shape}: {first_line(error)}") from error
        if isinstance(given, tuple | list):
            given = given[0]
        if not isinstance(given, torch.Tensor):
            raise ModelError(f"it gives {type(given).__name__}: it must give a tensor")
        return given.float().cpu().numpy()

    return run


def check_archive(data: bytes) -> None:
    """Refuse a file that torch.export did not write, or from which torch would unpickle something.

    Raises:
        ModelError: says what the file is or holds.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = archive.namelist()
            configs = [json.loads(archive.read(name)) for name in names if name.endswith("_config.json")]
    except (zipfile.BadZipFile, ValueError, OSError, RuntimeError, NotImplementedError) as error:
        raise ModelError(f"it is not an archive of torch.export: {first_line(error)}") from error
    if not any(name.rpartition("/")[2] == _LAYOUT for name in names):
        raise ModelError("it has an old layout, or torch.save wrote it; write it again with torch.export.save")
    pickles = [name for name in names if name.endswith(".pt") and "/sample_inputs/" not in f"/{name}"]
    pickles += [str(place) for config in configs for place in _find_pickles(config)]
    if pickles:
        raise ModelError(
            f"it holds pickles ({pickles[0][:80]}), which are never loaded; export it without such objects"
        )


def _find_pickles(config: Any) -> list[Any]:
    """Name the payloads that are pickles, in the table of an archive's weights or constants."""
    payloads = config.get("config", {}) if isinstance(config, dict) else {}
    if not isinstance(payloads, dict) or not all(isinstance(each, dict) for each in payloads.values()):
        raise ModelError("its table of weights cannot be read")
    return [
        name
        for name, each in payloads.items()
        if each.get("use_pickle", True) or str(each.get("path_name", "")).startswith(_PICKLED)
    ]
