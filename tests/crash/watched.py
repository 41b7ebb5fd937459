"""Inside of the process that is to end: it knows what the run is at, and ends itself, or fills the disk, right there.

`Workplace.run(code=...)` runs these lines before Luigi.
"""

import json
import os
import resource
import signal
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

from pipeline import progress

#: Before the first stage, and when the run is closed.
BEGIN, END = "begin", "end"
_CHANGES = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.symlink", "os.link", "os.truncate"}
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT


class Watch:
    """What the run is at, and how often it has touched a file there.

    Args:
        on_entry: Called with the name of each part of the run that begins.
        on_change: Called with the part and the number of its changes of files, before each.
    """

    def __init__(self, on_entry=lambda part: None, on_change=lambda part, number: None):
        self.part, self.changes, self.seconds = BEGIN, {}, {}
        self._on_entry, self._on_change = on_entry, on_change
        self._since = time.monotonic()
        self._lock = threading.Lock()
        self._follow()
        sys.addaudithook(self._hear)
        on_entry(BEGIN)

    def _follow(self):
        from pipeline.session import session

        working, close = progress.Progress.working, session.Session.close

        @contextmanager
        def watched_working(progress, name):
            self.enter(name)
            with working(progress, name):
                yield

        def watched_close(session):
            self.enter(END)
            close(session)

        progress.Progress.working, session.Session.close = watched_working, watched_close

    def enter(self, part):
        now = time.monotonic()
        self.seconds[self.part] = self.seconds.get(self.part, 0.0) + now - self._since
        self.part, self._since = part, now
        self._on_entry(part)

    def _hear(self, event, words):
        if event == "open":
            if not isinstance(words[2], int) or not words[2] & _WRITES:
                return
        elif event not in _CHANGES:
            return
        with self._lock:
            self.changes[self.part] = number = self.changes.get(self.part, 0) + 1
        self._on_change(self.part, number)


def die():
    os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(60)  # nothing more is done until it strikes


def die_at_change(part, number):
    """Die before the change of a file that has this number in a part of the run."""
    Watch(on_change=lambda now, count: die() if (now, count) == (part, number) else None)


def die_after(part, seconds):
    """Die so long after a part of the run has begun, whatever is going on then."""

    def strike():
        time.sleep(seconds)
        die()

    Watch(on_entry=lambda now: threading.Thread(target=strike, daemon=True).start() if now == part else None)


def measure(path):
    """Write how often each part changes a file, and how many seconds it takes."""
    watch = Watch()

    def note(part):
        if part == END:
            parts = {name: [watch.changes.get(name, 0), seconds] for name, seconds in watch.seconds.items()}
            Path(path).write_text(json.dumps({**parts, END: [3, 0.1]}), encoding="utf-8")

    watch._on_entry = note


def fill_disk(part, folder, left):
    """When a part of the run begins, leave so many bytes free on the folder's disk."""

    def fill(now):
        if now == part:
            state = os.statvfs(folder)
            with (Path(folder) / "filler").open("wb") as file:
                file.write(bytes(max(0, state.f_bavail * state.f_frsize - left)))

    Watch(on_entry=fill)


def limit_files(part, num_bytes):
    """When a part of the run begins, let no file become longer."""
    hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    Watch(on_entry=lambda now: resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, hard)) if now == part else None)
