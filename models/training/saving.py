"""When a training's files are written, and in which order, so that it can be killed at any moment.

state.pt is written first, then best.pt, so best.pt never knows of an epoch that state.pt does not. metrics.jsonl and
TensorBoard's file grow with every epoch. When a training goes on, they are cut back to the epochs that state.pt knows.
"""

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path

import torch

from models.training.checkpoints import BEST, LAST, load_checkpoint, save_checkpoint
from models.training.job import Job, RunOptions
from models.training.metrics import find_best
from models.training.parallel import Group
from models.training.state import STATE, TrainingState, check_state_fits, load_state, write_metrics
from models.training.tensorboard import FILE as EVENTS
from models.training.tensorboard import append_epoch, describe_settings, write_events
from models.whole_files import remove_unfinished

METRICS = "metrics.jsonl"
AVERAGE = "average.pt"

log = logging.getLogger(__name__)


class Pace:
    """Tells whether it is time to save again.

    Args:
        share: largest share of the training's time for saving; 1 saves after every epoch, however long that takes.
        clock: returns seconds.
    """

    def __init__(self, share: float, clock: Callable[[], float] = time.perf_counter) -> None:
        self._share, self._clock = share, clock
        self._end, self._seconds = clock(), 0.0

    def is_due(self) -> bool:
        """Tell whether one more saving, as long as the last one, stays within the share of the time since then."""
        since = self._clock() - self._end
        return self._share >= 1 or self._seconds <= self._share * (since + self._seconds)

    @contextmanager
    def timing(self) -> Iterator[None]:
        """Measure the time of a saving."""
        start = self._clock()
        yield
        self._end = self._clock()
        self._seconds = self._end - start


class Keeper:
    """Keeps the files of one training; in a group of processes only the first one writes.

    Args:
        job: what is trained.
        optimiser: of its weights.
        group: of processes.
        options: of the training.
    """

    def __init__(self, job: Job, optimiser: torch.optim.Optimizer, group: Group, options: RunOptions) -> None:
        self._job, self._optimiser, self._folder, self._group = job, optimiser, options.folder, group
        self._events = (options.curves or options.folder) / EVENTS
        self._selected_by = options.selected_by
        self._pace = Pace(options.saving_share)
        self._copy: dict[str, torch.Tensor] = {}

    def start(self, identity: str, *, overwrite: bool) -> TrainingState:
        """Continue this training from its folder, or begin it, and make the folder's files agree with that.

        Args:
            identity: of the training.
            overwrite: begin the training, whatever the folder holds.
        """
        job, folder = self._job, self._folder
        state = None if overwrite else self._load_own(identity)
        goes_on = state is not None
        self._group.wait()
        if state is not None:
            job.network.load_state_dict(state.network)
            self._optimiser.load_state_dict(state.optimiser)
        else:
            state = TrainingState(identity, job.network.state_dict(), self._optimiser.state_dict())
        if self._group.is_first:
            folder.mkdir(parents=True, exist_ok=True)
            remove_unfinished(folder)
            # last.pt says that a training is finished, so it is removed first.
            for name in (LAST, AVERAGE) if goes_on else (LAST, AVERAGE, STATE, BEST):
                (folder / name).unlink(missing_ok=True)
            write_metrics(folder / METRICS, state.history)
            self._events.parent.mkdir(parents=True, exist_ok=True)
            remove_unfinished(self._events.parent)
            write_events(self._events, state.history, describe_settings(job.kind, asdict(job.settings)))
            best = find_best(state.history)
            if best is not None and not _holds(folder / BEST, best.epoch):
                self._write_best(state)
        state.best = {}
        return state

    def _load_own(self, identity: str) -> TrainingState | None:
        """Read state.pt if it is of this training; otherwise return None, and log the reason if there is a file."""
        state, path, kind = load_state(self._folder), self._folder / STATE, self._job.kind
        if state is None:
            return None
        if state.identity != identity:
            log.warning("%s: %s is of another training (data or settings); it is replaced", kind, path)
            return None
        try:
            check_state_fits(state, self._job.network, self._optimiser)
        except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
            log.warning("%s: %s cannot be used, so the training begins again: %s", kind, path, error)
            return None
        return state

    def save(self, state: TrainingState) -> None:
        """Write state.pt, then best.pt if it does not hold the best epoch yet."""
        state.network, state.optimiser = self._job.network.state_dict(), self._optimiser.state_dict()
        if self._group.is_first:
            with self._pace.timing():
                state.save(self._folder)
                self._write_best(state)
            state.best = {}

    def save_epoch(self, state: TrainingState, *, is_last: bool) -> None:
        """Save an epoch: its metrics always, the weights when it is time.

        Args:
            state: its history ends with the epoch.
            is_last: whether this is the training's last epoch; its weights are always saved.
        """
        if not self._group.is_first:
            return
        metrics = state.history[-1]
        if metrics.is_best:
            state.best = {}  # these are of the former best epoch
        if is_last or self._pace.is_due():
            self.save(state)
        elif metrics.is_best:
            self._copy = _copy_to_host(self._job.network.state_dict(), self._copy)
            state.best = self._copy
        write_metrics(self._folder / METRICS, state.history)
        append_epoch(self._events, metrics)

    def _write_best(self, state: TrainingState) -> None:
        """Write best.pt if the state holds the best epoch's weights; otherwise they are written already."""
        best = find_best(state.history)
        is_now = best is not None and best.epoch == state.epoch - 1 and not state.step
        weights = state.best or (state.network if is_now else {})
        if best is not None and weights:
            checkpoint = self._job.make_checkpoint(best, identity=state.identity, selected_by=self._selected_by)
            save_checkpoint(self._folder / BEST, replace(checkpoint, state=weights))


def _holds(path: Path, epoch: int) -> bool:
    return path.exists() and load_checkpoint(path).epoch == epoch


def _copy_to_host(tensors: Mapping[str, torch.Tensor], former: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Copy tensors to the CPU, into the memory of a former copy if there is one: new memory takes ten times as long."""
    kept = former or {key: torch.empty_like(value, device="cpu") for key, value in tensors.items()}
    for key, value in tensors.items():
        kept[key].copy_(value.detach())
    return kept
