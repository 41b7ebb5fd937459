"""An experiment: the trainings of each seed and the report on them, with the fingerprints that name both."""

import contextlib
import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from pipeline.chain import NETWORKS
from pipeline.dataset.holding_out import HoldingOutError
from pipeline.errors import UserError
from pipeline.process import collecting_later
from pipeline.runs.fingerprints import compute_fingerprint
from pipeline.runs.old_checkpoints import write_needed
from pipeline.runs.run import Run
from pipeline.training.combining import average
from pipeline.training.data import TrainingData, name_other_choice
from pipeline.training.seed_trainings import Trainings
from store import files

#: Raised when the report's files change.
REPORT_VERSION = 7


@dataclass(frozen=True)
class Experiment:
    """The trainings of each seed, and the report on them, for the present content of the store.

    Args:
        data: The utterances that are trained on and scored.
        trainings: The trainings, one element for each seed. The report scores the mean of their predictions.
    """

    data: TrainingData
    trainings: list[Trainings]

    def find_trainings(self, network: str, fingerprint: str) -> Trainings:
        """Find the trainings to which a network's checkpoints belong.

        Raises:
            UserError: They belong to none of them: clips or settings have changed in the meantime.
        """
        for trainings in self.trainings:
            if trainings.fingerprints[network] == fingerprint:
                return trainings
        raise UserError(f"clips or settings changed just before the training of {network}; run again")

    @cached_property
    @collecting_later()
    def report_fingerprint(self) -> str:
        """A digest of everything that determines the report's content; it names the report's folder."""
        return compute_fingerprint(
            {
                "version": REPORT_VERSION,
                "parents": [each.fingerprints[network] for each in self.trainings for network in NETWORKS],
                "folds": self.data.run.settings.run.folds,
                "opensmile": self.data.run.settings.run.opensmile,
                **self._describe_speech(),
                **self._describe_other_choice(),
                "recordings": self.data.run.dataset.grouping.take(u.name for u in self.data.run.dataset.utterances),
                "utterances": [
                    [u.name, u.utterance, u.split, u.arousal, u.valence, row.sound, row.picture, row.identity]
                    for u in self.data.run.dataset.utterances
                    for row in [self.data.ledger[u.name]]
                ],
            }
        )

    def _describe_speech(self) -> dict[str, list[str]]:
        """Name the features by which the report counts speech; {} where there are none: old names stay valid."""
        run = self.data.run
        found = [run.fingerprints[stage] for stage, feature in run.features.items() if feature.is_voice_activity]
        return {"speech": found} if found else {}

    def _describe_other_choice(self) -> dict[str, list[str]]:
        """Name the trainings with which the report compares these; {} where there are none: old names stay valid."""
        other = self.other_choice
        if other is None:
            return {}
        return {"other_choice": [each.fingerprints[network] for each in other.trainings for network in NETWORKS]}

    @property
    def report_folder(self) -> Path:
        """The folder of the report on these checkpoints and utterances."""
        return self.data.run.folder / "reports" / self.report_fingerprint

    @property
    def report_path(self) -> Path:
        """The file that is written last: if it exists, the report is complete."""
        return self.report_folder / "report.json"

    @property
    def is_reported(self) -> bool:
        """Whether the report is complete, and the link `latest` points to it."""
        link = self.data.run.folder / "latest"
        return self.report_path.exists() and link.is_symlink() and link.readlink() == self._link_target

    @property
    def _link_target(self) -> Path:
        return Path(self.report_folder.parent.name) / self.report_folder.name

    def link_report(self) -> None:
        """Point the link `latest` to the report, which an earlier run may have written."""
        files.point_link(self.data.run.folder / "latest", self._link_target)

    def notes(self) -> Iterator[str]:
        """Say which networks continued earlier trainings (warm start)."""
        for network in NETWORKS:
            starts = [start.folder.name for trainings in self.trainings if (start := trainings.start(network))]
            if starts:
                yield (
                    f"WARM START: the training of {network} continued the best weights of {', '.join(starts)}; its "
                    "result depends on earlier trainings"
                )

    @cached_property
    def other_choice(self) -> "Experiment | None":
        """The same trainings with the other value of `[run] select_on`, if all of them are finished; else None.

        The report compares both. So after the second ones are finished, a run with the settings of the first ones
        writes its report again.
        """
        data = self.data
        own = {trainings.folder("joint") for trainings in self.trainings}
        if own.issuperset((data.run.folder / "checkpoints").glob("joint-*")):
            return None  # there are no others; computing the other trainings' fingerprints takes as long as these
        select_on = name_other_choice(data.run.settings.run.select_on)
        settings = data.run.settings.replace("run", select_on=select_on)
        try:
            other = plan_trainings(dataclasses.replace(data, run=dataclasses.replace(data.run, settings=settings)))
            is_there = all(trainings.is_done(network) for trainings in other.trainings for network in NETWORKS)
        except HoldingOutError:
            return None
        return other if is_there else None

    def predict(self, network: str, split: str) -> np.ndarray:
        """Predict a split, (U, 2): the mean over the seeds, NaN where the network has no input."""
        return average([trainings.predict(network, split) for trainings in self.trainings])


def note_needed(experiments: Sequence[Experiment]) -> None:
    """Record which checkpoints `gc` must keep. If the folder cannot be written, `gc` cannot remove any either."""
    run = experiments[0].data.run
    folders = [each.folder(network) for one in experiments for each in one.trainings for network in NETWORKS]
    with contextlib.suppress(OSError):
        write_needed(run.folder, run.store, folders)


def plan_trainings(data: TrainingData, *, is_fold: bool = False) -> Experiment:
    """Plan the trainings of `[run] seeds` seeds, the first of which is `[run] seed`."""
    first, count = data.run.settings.run.seed, data.run.settings.run.seeds
    return Experiment(data, [Trainings(data, seed, is_fold) for seed in range(first, first + count)])


def read_experiment(run: Run, *, is_fold: bool = False) -> Experiment:
    """Read a finished run's statuses and plan its trainings."""
    return plan_trainings(TrainingData.read(run), is_fold=is_fold)
