"""openSMILE's low-level descriptors of the eGeMAPS set (Eyben et al. 2016): 25 numbers every 10 ms.

Needs the package opensmile; openSMILE's licence is for research only.
"""

import importlib.util

import numpy as np

from models.features.network import ModelError, Network
from models.paper import SAMPLE_RATE


def open_egemaps(device: str) -> Network:
    """Give the descriptors as a network: (1, N) sound at 16 kHz to (T, 25); what is undefined is 0."""
    del device  # it runs on the CPU
    if importlib.util.find_spec("opensmile") is None:
        raise ModelError("it needs the package opensmile: pip install -e '.[opensmile]' (its licence: research only)")
    import opensmile

    smile = opensmile.Smile(opensmile.FeatureSet.eGeMAPSv02, opensmile.FeatureLevel.LowLevelDescriptors)

    def run(sound: np.ndarray) -> np.ndarray:
        return np.nan_to_num(smile.process_signal(sound[0], SAMPLE_RATE).to_numpy(np.float32))

    return run
