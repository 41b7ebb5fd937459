"""The steps of one epoch, and what stops them."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import nn

from models.inputs.batches import Draw, Gathered, draw_rows, prepare_inputs
from models.inputs.clips import Clips
from models.inputs.feeding import Feed, Source
from models.inputs.sampling import split_batches
from models.networks.precision import computing_in
from models.seeding import mix_seed, seeded
from models.tables import format_count
from models.training.job import Job, TrainingError
from models.training.losses import LOSSES
from models.training.parallel import Group

#: Steps between two checks of the losses. A GPU works through queued steps; reading a loss waits for all of them.
STEPS_BETWEEN_LOOKS = {"cpu": 1, "cuda": 50}


@dataclass(frozen=True)
class Setup:
    """What stays the same over the epochs.

    Attributes:
        job: what is trained.
        network: its network, as the group of processes wraps it.
        optimiser: of its weights.
        train: training split.
        source: of its rows.
        members: (M,) positions of the utterances to train on.
        seed: of everything that is random.
        device: where the network is.
        group: of processes.
    """

    job: Job
    network: nn.Module
    optimiser: torch.optim.Optimizer
    train: Clips
    source: Source
    members: np.ndarray
    seed: int
    device: str
    group: Group


@dataclass
class Losses:
    """The losses of an epoch's steps, copied from the device and checked every few steps.

    Attributes:
        values: losses of the checked steps.
        interval: steps between two checks.
        describe_bad: makes the error message of a step, from its number, loss and norm, which are not both finite.
    """

    values: list[float]
    interval: int
    describe_bad: Callable[[int, float, float], str]
    _waiting: list[torch.Tensor] = field(default_factory=list)

    @property
    def num_steps(self) -> int:
        """Steps of the epoch that are done."""
        return len(self.values) + len(self._waiting)

    def add(self, loss: torch.Tensor, norm: torch.Tensor) -> None:
        """Add the loss and the gradient's norm of one step.

        Raises:
            TrainingError: a loss or norm since the last check is not a finite number.
        """
        self._waiting.append(torch.stack([loss.detach().float(), norm.detach().float()]))
        if len(self._waiting) >= self.interval:
            self.look()

    def look(self) -> None:
        """Check the losses that were not checked yet; raises as `add` does."""
        if not self._waiting:
            return
        pairs, self._waiting = torch.stack(self._waiting).tolist(), []
        for loss, norm in pairs:
            if not (math.isfinite(loss) and math.isfinite(norm)):
                raise TrainingError(self.describe_bad(len(self.values), loss, norm))
            self.values.append(loss)


def plan_epoch(setup: Setup, epoch: int) -> tuple[list[np.ndarray], Draw]:
    """Draw the order and the samples of an epoch; they depend only on the seed and the epoch.

    Returns:
        Positions of each batch in the draw, and the draw of all utterances.
    """
    rng = np.random.default_rng((setup.seed, epoch))
    shuffled = split_batches(len(setup.members), setup.job.settings.batch_size, rng)
    draw = draw_rows(setup.train, setup.members[np.concatenate(shuffled)], setup.job.train_plan, rng)
    ends = np.cumsum([len(batch) for batch in shuffled])
    return [np.arange(end - len(batch), end) for batch, end in zip(shuffled, ends, strict=True)], draw


def train_epoch(setup: Setup, epoch: int, done: list[float], on_step: Callable[[Losses], None]) -> tuple[float, float]:
    """Run an epoch, or the steps of it that are not done yet.

    Args:
        setup: what is trained, and on what.
        epoch: counted from 0.
        done: losses of the steps that are done already.
        on_step: called after each step with the losses so far.

    Returns:
        Mean of the batches' losses, weighted by their sizes, and the seconds that the loop waited for data.

    Raises:
        TrainingError: a loss is not a finite number, or the device is out of memory.
    """
    batches, draw = plan_epoch(setup, epoch)
    assert setup.train.labels is not None, "members are labelled"
    labels = torch.from_numpy(setup.train.labels[draw.members].astype(np.float32)).to(setup.device)  # (M, 2)
    first = len(done)
    shares = [draw.take(setup.group.take_share(rows)) for rows in batches[first:]]
    feed = Feed(setup.source, setup.job.train_plan, setup.device)
    interval = STEPS_BETWEEN_LOOKS.get(torch.device(setup.device).type, 1)

    def describe_bad(step: int, loss: float, norm: float) -> str:
        return _describe_explosion(setup, epoch, step, loss, norm, draw.take(batches[step]))

    losses = Losses(list(done), interval, describe_bad)
    setup.network.train()
    with seeded(setup.seed, epoch, device=setup.device):
        for step, gathered in enumerate(feed.iterate(shares), start=first):
            # Seeds dropout: different in each step and process, and the same after an interruption.
            torch.manual_seed(mix_seed(setup.seed, epoch, step, setup.group.rank))
            # A batch's rows are consecutive in the draw, so a slice is enough and no index has to go to the device.
            rows = slice(int(batches[step][0]), int(batches[step][-1]) + 1)
            losses.add(*_take_step(setup, gathered, labels[rows]))
            on_step(losses)
    losses.look()
    sizes = [len(batch) for batch in batches]
    return float(np.average(losses.values, weights=sizes)), feed.wait_seconds


def _take_step(setup: Setup, gathered: Gathered, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Change the weights by one batch; return its loss and the norm of the gradient before it was clipped."""
    try:
        loss = _compute_gradients(setup, setup.network, gathered, labels, setup.group)
    except torch.OutOfMemoryError as error:
        reason = str(error).partition("\n")[0]
    else:
        norm = nn.utils.clip_grad_norm_(setup.network.parameters(), setup.job.settings.gradient_clip)
        setup.optimiser.step()
        return loss, norm
    # Outside of the handler: inside, the error's frames would still hold the tensors that fill the memory.
    own = setup.group.take_share(np.arange(len(labels)))
    fitting = find_fitting_size(lambda size: _try_part(setup, gathered, labels[own[:size]]), len(own))
    raise TrainingError(_describe_shortage(setup, len(labels), fitting * setup.group.size, reason))


def _compute_gradients(
    setup: Setup, network: nn.Module, gathered: Gathered, labels: torch.Tensor, group: Group
) -> torch.Tensor:
    setup.optimiser.zero_grad(set_to_none=True)
    with computing_in(setup.job.settings.precision, setup.device):
        own = network(*prepare_inputs(gathered, setup.job.train_plan, setup.device)).float()  # (share, 2)
    prediction = group.join(own, len(labels))  # (B, 2)
    loss = LOSSES[setup.job.settings.loss](prediction, labels)
    # The processes' gradients are parts of a sum, but are averaged after the backward pass.
    (loss * group.size).backward()
    return loss


def _try_part(setup: Setup, gathered: Gathered, labels: torch.Tensor) -> None:
    """Run forward and backward on the first utterances of a batch, without a step."""
    if torch.device(setup.device).type == "cuda":
        torch.cuda.empty_cache()
    index = gathered.map_index[: len(labels)]
    num_maps = int(index.max()) + 1 if index.numel() else 0
    part = replace(
        gathered,
        maps=gathered.maps[:num_maps],
        map_lengths=gathered.map_lengths[:num_maps],
        map_index=index,
        masks=gathered.masks[:num_maps],
        faces=gathered.faces[: len(labels)],
        mirrored=gathered.mirrored[: len(labels)],
    )
    _compute_gradients(setup, setup.job.network, part, labels, Group())


def find_fitting_size(attempt: Callable[[int], None], too_large: int) -> int:
    """Find the largest size with which an attempt does not run out of memory, by halving.

    Args:
        attempt: raises torch.OutOfMemoryError for sizes that are too large.
        too_large: a size that is known to be too large.

    Returns:
        In [0, too_large); 0 where not even 1 fits.
    """
    fits = 0
    while too_large - fits > 1:
        middle = (fits + too_large) // 2
        try:
            attempt(middle)
        except torch.OutOfMemoryError:
            too_large = middle
        else:
            fits = middle
    return fits


def _describe_explosion(setup: Setup, epoch: int, step: int, loss: float, norm: float, batch: Draw) -> str:
    settings = setup.job.settings
    names = ", ".join(setup.train.names[member] for member in batch.members)
    return (
        f"{setup.job.kind}: the loss ({loss}) or the norm of its gradient ({norm}) is not a finite number in epoch "
        f"{epoch}, step {step}, with the utterances {names}; try a lower learning_rate ({settings.learning_rate}) or "
        f"gradient_clip ({settings.gradient_clip}), and look for NaN in the features of these utterances"
    )


def _describe_shortage(setup: Setup, size: int, fitting: int, reason: str) -> str:
    advice = (
        f"batch_size = {fitting} would fit"
        if fitting
        else "not even a batch of 1 fits: try fewer num_maps or num_frames, or a device with more memory"
    )
    batches = f"batches of {format_count(size, 'utterance')}"
    return f"{setup.job.kind}: {setup.device} is out of memory with {batches}; {advice} ({reason})"
