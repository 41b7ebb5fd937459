"""Starts runs from a process that has imported everything already: a kill then costs a second instead of five.

What is imported holds nothing of a run. The server starts in the runs' folder with their settings, since Luigi reads
these when it is imported; they are the same for all runs. It is asked by lines of JSON, with code and variables of the
environment, and answers with exit codes.
"""

import importlib
import json
import os
import signal
import subprocess
import sys
from types import SimpleNamespace

from tests.pipeline.conftest import ROOT

_IMPORTED = (
    "models.training.start", "pipeline.report.publish", "pipeline.stages.align_faces", "pipeline.stages.frames",
    "pipeline.stages.ready", "pipeline.stages.sound", "pipeline.tasks", "tests.crash.watched",
)  # fmt: skip


class Server:
    """Runs in one folder, one after another.

    Args:
        place: The workplace; its folder may be made anew between two runs.
    """

    def __init__(self, place):
        self._folder = place.folder
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "LUIGI_CONFIG_PATH": "mine.cfg", "COLUMNS": "200"}
        self._process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-m", "tests.crash.server", str(place.folder)],
            cwd=place.folder,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout.readline() == "ready\n", "no server"

    def run(self, code=None, **environment):
        """Do a FullRun after some code; give its exit code and what it has said."""
        print(json.dumps({"code": code or "", "environment": environment}), file=self._process.stdin, flush=True)
        line = self._process.stdout.readline()
        said = (self._folder / "said.txt").read_text(encoding="utf-8")
        return SimpleNamespace(returncode=int(line), stderr=said)

    def stop(self):
        """End it."""
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()


def serve(folder):
    """Answer each line with the exit code of a run in a process of its own."""
    for name in _IMPORTED:
        importlib.import_module(name)
    luigi_run = importlib.import_module("luigi.cmdline").luigi_run
    print("ready", flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        child = os.fork()
        if child == 0:
            os.chdir(folder)
            os.environ.update(asked["environment"])
            said = os.open("said.txt", os.O_CREAT | os.O_TRUNC | os.O_WRONLY)
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            os.dup2(said, 1)
            os.dup2(said, 2)
            os.close(said)
            exec(asked["code"], {})
            sys.argv[:] = ["luigi", "--module", "pipeline.tasks", "FullRun"]
            luigi_run(sys.argv[1:])
            return
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        print(status, flush=True)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    serve(sys.argv[1])
