"""A run as `open_run` makes it, of a test's own parts."""

from pipeline.dataset.utterances import Dataset
from pipeline.runs.plan import Plan
from pipeline.runs.run import Run
from pipeline.settings.config import Settings


def assemble_run(folder, **parts):
    """Make a run below a folder: the settings as they are, no clip, no row and nothing planned, but for `parts`."""
    own = {
        "settings": Settings.read(),
        "store": folder / "store",
        "videos": folder / "videos",
        "folder": folder / "runs",
        "dataset": Dataset((), ()),
        "plan": Plan({}, {}, frozenset(), frozenset(), {}),
        "name": "runs",
        "kept": frozenset(),
        **{name: {} for name in ("weights", "stages", "fingerprints", "clips", "erased", "hindered")},
    }
    return Run(**own | parts)
