"""Settings of training that are each right and do not go together, told before hours of features and not after."""

from collections.abc import Iterator
from typing import Any


def find_contradictions(anet: Any, vnet: Any, joint: Any) -> Iterator[str]:
    """Give a sentence for each; the arguments are the sections of tasks.cfg."""
    finetune = vnet.backbone == "finetune"
    if vnet.standardise and finetune:
        yield "[vnet] standardise = true needs backbone = frozen: it is about cached embeddings"
    for name, section in (("vnet", vnet), ("joint", joint)):
        if section.mirror and not finetune:
            yield f"[{name}] mirror = true needs [vnet] backbone = finetune: embeddings cannot be mirrored"
    for name, section in (("anet", anet), ("vnet", vnet), ("joint", joint)):
        last, epochs, patience = section.average_last, section.epochs, section.patience
        if last > epochs:
            yield f"[{name}] average_last = {last} must be at most epochs = {epochs}"
        if last > 1 and patience:
            yield f"[{name}] average_last = {last} needs patience = 0, not {patience}: the last epochs are not known"
