"""ComputeFeature: a user's network, applied to a shard's faces or sounds (`[features.NAME]`)."""

import contextlib
import functools
import hashlib
from pathlib import Path

import numpy as np

from models.features.entry_point import load_entry_point
from models.features.exported import load_exported
from models.features.network import ModelError, Network, compute_rows, compute_sequence, measure_width
from models.features.onnx import load_onnx
from models.networks.precision import computing_exactly
from pipeline.errors import UserError
from pipeline.runs.fingerprints import describe_model
from pipeline.runs.kept_crops import remove_passing_crops
from pipeline.settings.features import SECTION, Feature
from pipeline.stages.device import describe_device, find_device, torch_threads
from pipeline.stages.feature_inputs import ClipInputs, make_inputs, read_inputs
from pipeline.stages.shard_job import ShardJob, carry_on
from store.shard.writer import UtteranceRows


class LoadedFeature:
    """A declared feature with its network, tried on one made input.

    Args:
        feature: the declaration.
        network: loaded.

    Attributes:
        width: how many numbers a row has.

    Raises:
        ModelError: the network cannot compute this feature.
    """

    def __init__(self, feature: Feature, network: Network) -> None:
        self.feature = feature
        self._network = network
        made = make_inputs(feature)
        self.width = measure_width(self._compute, made, are_rows=not feature.is_whole)

    def compute(self, inputs: np.ndarray) -> np.ndarray:
        """Compute the rows of inputs, (N, D) float32.

        Args:
            inputs: (N, ...), one row each, N at most the batch's size; or a whole sound (N,).

        Raises:
            ModelError: the network does not return such rows, or their width differs from `width`.
        """
        rows = self._compute(inputs)
        if rows.shape[1] != self.width:
            raise ModelError(f"it gives {rows.shape[1]} numbers a row, but gave {self.width} before")
        return rows

    def _compute(self, inputs: np.ndarray) -> np.ndarray:
        if self.feature.is_whole:
            return compute_sequence(self._network, inputs)
        # All batches have the same size: many networks accept only one, and the size of a batch changes no row.
        filled = np.zeros((self.feature.batch_size, *inputs.shape[1:]), np.float32)
        filled[: len(inputs)] = inputs
        return compute_rows(self._network, filled)[: len(inputs)]


@functools.cache
def load_network(feature: Feature, device: str, threads: int) -> LoadedFeature:
    """Load a feature's network once in a process, and try it.

    Args:
        feature: the declaration.
        device: "cpu" or "cuda".
        threads: number of threads of each operation on a CPU.

    Raises:
        UserError: The network cannot be used; names the section and says what is wrong.
    """
    try:
        with computing_exactly(), torch_threads(threads):
            return LoadedFeature(feature, _load(feature, device, threads))
    except ModelError as error:
        raise UserError(f"[{SECTION}{feature.name}] model = {feature.model}: {error}") from error


def _load(feature: Feature, device: str, threads: int) -> Network:
    described = describe_model(feature)
    if feature.kind == "code":
        return load_entry_point(feature.model, device=device)
    data = Path(feature.model).read_bytes()
    # The fingerprint names the file's digest; the file may have changed since.
    if hashlib.sha256(data).hexdigest() != described["weights"]:
        raise ModelError("the file has changed since this run began; run again")
    if feature.kind == "onnx":
        return load_onnx(data, device=device, threads=threads)
    return load_exported(data, device=device, precision="bfloat16" if feature.precision == "bfloat16" else "float32")


def compute_feature(job: ShardJob, stage: str) -> None:
    """Compute a declared feature of the shard's clips."""
    feature = job.run.features[stage]
    device, threads = find_device(job.run.settings), job.run.settings.num_threads
    loaded = load_network(feature, device, threads)
    with contextlib.ExitStack() as stack:
        made_in = {"device": describe_device(device), "file": Path(feature.model).name}
        writer = stack.enter_context(job.writer(stage, made_in=made_in, width=loaded.width))
        stack.enter_context(computing_exactly())
        stack.enter_context(torch_threads(threads))
        earlier = job.rows("wav" if feature.is_sound else "faces")
        for member in job.members:
            with writer.utterance(member.name, source_sha256=earlier.fact(member.name, "source_sha256")) as rows:
                if carry_on(earlier, rows):
                    with read_inputs(job, feature, member) as inputs:
                        _write_clip(loaded, inputs, rows)
            job.tick()
    remove_passing_crops(job.run, job.shard)


def _write_clip(loaded: LoadedFeature, inputs: ClipInputs, rows: UtteranceRows) -> None:
    """Write a clip's rows to its end, or up to the first batch that fails; the status then says why."""
    for times, batch in inputs.batches:
        try:
            values = loaded.compute(batch)
        except ModelError as error:
            raise UserError(f"[{SECTION}{loaded.feature.name}] on {rows.name}: {error}") from error
        if not np.isfinite(values).all():
            number = rows.length + int(np.flatnonzero(~np.isfinite(values).all(axis=1))[0])
            rows.set_status("decode_error", f"the network gives NaN or infinite numbers for row {number}")
            return
        if times is None:
            times = np.arange(len(values)) * loaded.feature.hop_seconds
        rows.append(time=times, value=values)
    if inputs.status != "ok":
        rows.set_status(inputs.status, inputs.message)
    elif rows.length == 0 and loaded.feature.is_sound:
        rows.set_status("too_short", "the sound is too short for a single row")
