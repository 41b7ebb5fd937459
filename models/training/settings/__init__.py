"""Settings of the three trainings, each declared once: default, limits and a sentence. The defaults are the paper's.

The sections [anet], [vnet] and [joint], their checks, their text in tasks.cfg and docs/settings.md all follow from what
is declared here. To add a setting, add a field with `declare` and run `make settings`. Without torch: a run reads its
settings before it needs any.
"""

from models.training.settings.anet import ANetSettings
from models.training.settings.common import SPHEREFACE, STFT, TrainingSettings, split_names
from models.training.settings.joint import JointSettings
from models.training.settings.vnet import VNetSettings

__all__ = [
    "SPHEREFACE",
    "STFT",
    "TRAININGS",
    "ANetSettings",
    "JointSettings",
    "TrainingSettings",
    "VNetSettings",
    "split_names",
]

#: Section of the settings -> what it is made of.
TRAININGS: dict[str, type[TrainingSettings]] = {"anet": ANetSettings, "vnet": VNetSettings, "joint": JointSettings}
