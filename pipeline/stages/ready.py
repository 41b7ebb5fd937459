"""What would stop the work in its middle, and can be found out before the first clip."""

from pipeline.runs.run import Run
from pipeline.stages.device import check_devices
from pipeline.stages.embedding import check_weights


def check_ready(run: Run, *, trains: bool) -> None:
    """Refuse devices that are not here, and weights that are none.

    Args:
        run: Opened, with something to do.
        trains: Whether networks are to be trained.

    Raises:
        UserError: Says the setting and the next step.
    """
    check_devices(run.settings, trains=trains)
    check_weights(run.weights["sphereface20"], run.settings)
