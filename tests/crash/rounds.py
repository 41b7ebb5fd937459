"""SIGKILLs at random moments: a run is killed again and again until it is through, then looked at; and so on."""

import json
import random
import shutil
import time
from collections import Counter
from dataclasses import dataclass, field

from store.tending.verify import verify_store
from tests.crash.comparing import find_differences
from tests.crash.server import Server
from tests.pipeline.conftest import settle

#: Of all kills how many strike at a moment; the others strike between two changes of files.
_SHARE_OF_MOMENTS = 0.5
#: How many parts of a run a round may pass between two kills.
_MOST_PASSED = 2
_WATCHED = "from tests.crash import watched\nwatched."


@dataclass
class Outcome:
    """What came of it.

    Args:
        seed: With which it can be done again.
        kills: By the part of the run that was meant.
        rounds: Runs that were brought to their end and compared.
        faults: What was wrong.
    """

    seed: int
    kills: Counter = field(default_factory=Counter)
    rounds: int = 0
    seconds: float = 0.0
    faults: list = field(default_factory=list)


class Rounds:
    """A folder in which runs are killed.

    Args:
        data: The data set.
        folder: For the runs; made and removed.
        whole: A workplace in which a run has ended well, of the same data.
        seed: Of the moments.
        say: Called with each line of how it goes.
    """

    def __init__(self, data, folder, whole, seed, say=lambda line: None):
        self._data, self._folder, self._whole, self._say = data, folder, whole, say
        self._server: Server | None = None
        self._random = random.Random(seed)
        self.outcome = Outcome(seed)

    def kill(self, count):
        """Kill so many times; the last round is brought to its end, too."""
        started = time.monotonic()
        self._server = Server(self._settle())
        try:
            parts = self._measure()
            while self.outcome.kills.total() < count and not self.outcome.faults:
                self._do_round(parts, count)
                self.outcome.seconds = time.monotonic() - started
                done = f"{self.outcome.kills.total()} kills, {self.outcome.seconds:.0f} s"
                self._say(f"round {self.outcome.rounds}: {done}")
        finally:
            self._server.stop()
        return self.outcome

    def _measure(self):
        """Let one run go through, and give its parts, each with its changes of files and its seconds."""
        place = self._settle()
        ended = self._run(f"{_WATCHED}measure('parts.json')")
        assert ended.returncode == 0, ended.stderr
        return json.loads((place.folder / "parts.json").read_text(encoding="utf-8"))

    def _settle(self):
        shutil.rmtree(self._folder, ignore_errors=True)
        place = settle(self._data, self._folder)
        (self._folder / "tmp").mkdir()
        return place

    def _do_round(self, parts, count):
        place, names, at = self._settle(), list(parts), 0
        while at < len(names) and self.outcome.kills.total() < count:
            part = names[at]
            code, what = self._draw(part, *parts[part])
            ended = self._run(code)
            if ended.returncode == -9:
                self.outcome.kills[part] += 1
            elif ended.returncode == 0:
                break  # it was through before the moment came
            else:
                return self._blame(place, f"with {what}", ended)
            at += self._random.randint(0, _MOST_PASSED)
        ended = self._run()
        if ended.returncode != 0:
            return self._blame(place, "to its end", ended)
        self.outcome.rounds += 1
        self.outcome.faults += find_differences(place, self._whole)
        others = (path.name for path in (self._folder / "tmp").iterdir() if not path.name.startswith("torchinductor"))
        self.outcome.faults += [f"left over: tmp/{name}" for name in others]
        self.outcome.faults += [f"verify: {fault}" for fault in verify_store(self._folder / "store")]
        return None

    def _run(self, code=None):
        return self._server.run(code, TMPDIR=str(self._folder / "tmp"))

    def _draw(self, part, changes, seconds):
        if self._random.random() < _SHARE_OF_MOMENTS or not changes:
            moment = self._random.uniform(0, seconds)
            return f"{_WATCHED}die_after({part!r}, {moment!r})", f"{part}, {moment:.3f} s"
        number = self._random.randint(1, changes)
        return f"{_WATCHED}die_at_change({part!r}, {number})", f"{part}, change {number}"

    def _blame(self, place, what, ended):
        self.outcome.faults.append(f"{place.folder}: the run {what} ended with {ended.returncode}: {ended.stderr}")
