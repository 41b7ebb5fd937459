"""Checks before the first clip, for faults that would otherwise stop the run later."""

from pipeline.runs.run import Run
from pipeline.stages.device import check_devices, find_device
from pipeline.stages.embedding import check_weights
from pipeline.stages.features import load_network


def check_ready(run: Run, *, trains: bool) -> None:
    """Refuse missing devices, unusable weights, and networks that cannot compute their declared feature.

    Args:
        run: Opened, with something to do.
        trains: Whether networks are to be trained.

    Raises:
        UserError: Says the setting and the next step.
    """
    check_devices(run.settings, trains=trains)
    check_weights(run.weights["sphereface20"], run.settings)
    waiting = {stage for shard in run.pending for stage in run.find_work(shard)} & run.features.keys()
    for stage in sorted(waiting):
        load_network(run.features[stage], find_device(run.settings), run.settings.num_threads)
