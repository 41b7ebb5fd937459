"""How long each step took in earlier runs: `rates.json` of the folder of runs, and estimates from it."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from pipeline.json_shapes import by_name, list_of, number
from store import files
from store.json_files import read_object

#: What is remembered of a step: about so many of the last clips (or epochs, reports).
_REMEMBERED = 1000.0


class Rate(NamedTuple):
    """What a step has taken.

    Args:
        units: clips, epochs or reports done.
        seconds: spent on them.
    """

    units: float
    seconds: float

    @property
    def seconds_each(self) -> float:
        """Seconds for one."""
        return self.seconds / self.units

    def add(self, other: "Rate") -> "Rate":
        """Take further ones in; long ago counts for less."""
        kept = min(1.0, max(0.0, _REMEMBERED - other.units) / self.units)
        return Rate(self.units * kept + other.units, self.seconds * kept + other.seconds)


def read_rates(folder: Path) -> dict[str, Rate]:
    """Read the rate of each step that has been measured; none where the file is not there or says nothing."""
    try:
        content = read_object(_path(folder))
        by_name(list_of(number))(content, "rates.json")
        rates = {step: Rate(float(units), float(seconds)) for step, (units, seconds) in content.items()}
    except (OSError, ValueError):
        return {}
    return {step: rate for step, rate in rates.items() if rate.units > 0 and rate.seconds >= 0}


def note_rates(folder: Path, done: Mapping[str, Rate]) -> None:
    """Take what a run has done into the record; steps that did nothing say nothing."""
    done = {step: rate for step, rate in done.items() if rate.units > 0}
    if done:
        rates = read_rates(folder)
        rates |= {step: rates[step].add(rate) if step in rates else rate for step, rate in done.items()}
        files.write_json(_path(folder), {step: [round(value, 3) for value in rate] for step, rate in rates.items()})


def _path(folder: Path) -> Path:
    return folder / "rates.json"
