"""What failed in this process's run: told at its end, and kept in the folder of runs for `status` and other hosts."""

import socket
from pathlib import Path

from pipeline.progress import logger
from pipeline.runs.outcome.describing import describe_failure, name_folders
from pipeline.runs.outcome.failures import clear_failures, forget_failure, read_failures, write_failure
from pipeline.settings import config


class FailureNotes:
    """The failures of a run so far.

    Attributes:
        told: A sentence each, of this process.
        hindrance: Why nothing can be written to `[run] root`, one sentence; "" where it can. Then nothing is kept.
    """

    def __init__(self, folder: Path) -> None:
        self.told: list[str] = []
        self.hindrance = ""
        self._folder = folder

    def note(self, key: str, failure: str) -> None:
        """Keep one sentence of what failed, for the end of the run and for `python -m pipeline status`.

        Args:
            key: What failed, the same on each host; a failed stage of a shard is forgotten when it is done.
            failure: The sentence.
        """
        self.told.append(failure)
        if self.hindrance:
            return
        host = "" if config.is_scheduler_local() else socket.gethostname()
        try:
            write_failure(self._folder, key, failure, host=host)
        except OSError as error:  # the disk is full, which may be what failed; it is told at the end all the same
            logger.warning("what failed cannot be kept for `status`: %s", describe_failure(error, name_folders()))

    def forget(self, key: str) -> None:
        """Forget what had failed, on this host or another, since it is done."""
        if not self.hindrance:
            forget_failure(self._folder, key)

    def forget_all(self) -> None:
        """Forget all that had failed, since the whole is done."""
        if not self.hindrance:
            clear_failures(self._folder)

    def list_all(self) -> list[str]:
        """List what failed here and on other hosts, for whose sake this one may have ended early."""
        if config.is_scheduler_local():
            return self.told
        others = [failure for failure in read_failures(self._folder) if not failure.endswith(tuple(self.told))]
        return [*self.told, *others]
