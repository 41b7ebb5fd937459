"""How long each step took in earlier runs: `rates.json` of the folder of runs, and estimates from it."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from pipeline.json_shapes import by_name, list_of, number
from store import files
from store.json_files import read_object

#: A step's rate is measured over about this many of its last clips (or epochs, or reports).
_REMEMBERED = 1000.0


class Rate(NamedTuple):
    """How long a step took.

    Args:
        units: number of clips, epochs or reports done.
        seconds: wall time spent on them.
    """

    units: float
    seconds: float

    @property
    def seconds_each(self) -> float:
        """Seconds for one clip, epoch or report."""
        return self.seconds / self.units

    def add(self, other: "Rate") -> "Rate":
        """Add later measurements; earlier ones count less, so that about the last 1000 units are kept."""
        kept = min(1.0, max(0.0, _REMEMBERED - other.units) / self.units)
        return Rate(self.units * kept + other.units, self.seconds * kept + other.seconds)


def read_rates(folder: Path) -> dict[str, Rate]:
    """Read the rate of each measured step; an empty result where the file is missing or damaged."""
    try:
        content = read_object(_path(folder))
        by_name(list_of(number))(content, "rates.json")
        rates = {step: Rate(float(units), float(seconds)) for step, (units, seconds) in content.items()}
    except (OSError, ValueError):
        return {}
    return {step: rate for step, rate in rates.items() if rate.units > 0 and rate.seconds >= 0}


def note_rates(folder: Path, done: Mapping[str, Rate]) -> None:
    """Add what a run has done to `rates.json`; steps that did nothing are left out."""
    done = {step: rate for step, rate in done.items() if rate.units > 0}
    if done:
        rates = read_rates(folder)
        rates |= {step: rates[step].add(rate) if step in rates else rate for step, rate in done.items()}
        files.write_json(_path(folder), {step: [round(value, 3) for value in rate] for step, rate in rates.items()})


def _path(folder: Path) -> Path:
    return folder / "rates.json"
