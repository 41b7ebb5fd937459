"""Failures of this process's run: printed at its end, and kept in the folder of runs for `status` and other hosts."""

import socket
from pathlib import Path

from pipeline.progress import logger
from pipeline.runs.outcome.describing import describe_failure, name_folders
from pipeline.runs.outcome.failures import clear_failures, forget_failure, read_failures, write_failure
from pipeline.settings import config


class FailureNotes:
    """The failures of a run so far.

    Attributes:
        told: One sentence for each failure of this process.
        hindrance: One sentence that says why nothing can be written to `[run] root`: then no failure is kept there. ""
            where the folder can be written.
    """

    def __init__(self, folder: Path) -> None:
        self.told: list[str] = []
        self.hindrance = ""
        self._folder = folder

    def note(self, key: str, failure: str) -> None:
        """Keep one sentence about a failure, for the end of the run and for `python -m pipeline status`.

        Args:
            key: Names what failed, the same on each host. By it the failure is forgotten when the work is done.
            failure: The sentence.
        """
        self.told.append(failure)
        if self.hindrance:
            return
        host = "" if config.is_scheduler_local() else socket.gethostname()
        try:
            write_failure(self._folder, key, failure, host=host)
        except OSError as error:  # perhaps the disk is full; the failure is still printed at the end
            logger.warning("what failed cannot be kept for `status`: %s", describe_failure(error, name_folders()))

    def forget(self, key: str) -> None:
        """Forget a failure on this host or another: the work is done now."""
        if not self.hindrance:
            forget_failure(self._folder, key)

    def forget_all(self) -> None:
        """Forget all failures: all work is done."""
        if not self.hindrance:
            clear_failures(self._folder)

    def list_all(self) -> list[str]:
        """List the failures here and on other hosts; a failure elsewhere may have ended this host's run early."""
        if config.is_scheduler_local():
            return self.told
        # Another process of this host may have recorded other failures.
        own = {f"on {socket.gethostname()}: {failure}" for failure in self.told}
        return [*self.told, *(failure for failure in read_failures(self._folder) if failure not in own)]
