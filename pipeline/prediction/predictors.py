"""Checkpoint folders at work on clips they have never seen: what they need, what they refuse, what they say."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from models.inputs.clips import Clips
from models.training.checkpoints import BEST, Checkpoint, CheckpointError, load_network
from models.training.inference import predict
from models.training.settings import SPHEREFACE, STFT
from pipeline.errors import UserError
from pipeline.prediction.provenance import TRAIN_AGAIN, read_provenance
from pipeline.runs.changes.feature_changes import compare_features
from pipeline.runs.kept_crops import check_crops_stay
from pipeline.runs.outcome.report_json import REPORT_JSON, open_report_json
from pipeline.settings import config
from pipeline.stages.device import find_device, torch_threads
from pipeline.training.combining import MEAN, average, fall_back
from pipeline.training.data import name_face_stages, name_sound_stage

#: The single networks, kept beside Joint's own checkpoint for clips without sound or without a face.
SINGLE_NETWORKS = ("anet", "vnet")


@dataclass(frozen=True)
class Predictor:
    """A trained network and, beside a Joint, the two single ones it falls back to.

    Attributes:
        kind: "anet", "vnet" or "joint".
        paths: network to checkpoint file.
        features: what made up the stages on which it was trained (see `fingerprints.describe_stages`).
        training_mean: (2,) mean arousal and valence of its training split, said where nothing can be seen.
        needs_crops: whether it looks at crops rather than at embeddings.
        stages: the stages whose rows it looks at, and those before them.
        notes: what has to be read before the numbers.
        faces: the stages whose rows it sees of each face, where it sees no crops.
        sound: the stage whose rows it hears.
    """

    kind: str
    paths: Mapping[str, Path]
    features: Mapping[str, Any]
    training_mean: np.ndarray
    needs_crops: bool
    stages: tuple[str, ...]
    notes: tuple[str, ...]
    faces: tuple[str, ...] = ("embeddings",)
    sound: str = STFT

    def check_features(self, stages: Mapping[str, Any], *, crops: str) -> None:
        """Refuse features made in another way than those of the training.

        Args:
            stages: what makes up each stage's bytes now.
            crops: `[faces] crops` now.

        Raises:
            UserError: Says which settings differ; or the crops that it looks at are not kept.
        """
        if self.needs_crops:
            check_crops_stay(crops, str(self.paths[self.kind]))
        differences = [
            f"[{change.stage}] {change.key}: {change.before} in the checkpoint, {change.now} here"
            for change in compare_features(self.features, stages, self.stages)
        ]
        if differences:
            raise UserError(
                f"{self.paths[self.kind]} was trained on other features than your settings would make:\n"
                + "\n".join(f"  {line}" for line in differences)
                + "\n"
                "Give "
                "your "
                "settings "
                "the "
                "checkpoint's "
                "values, "
                "or "
                "train "
                "with "
                "your "
                "settings"
            )

    def predict(self, clips: Clips, tick: Callable[[int], None] = lambda count: None) -> tuple[np.ndarray, list[str]]:
        """Predict arousal and valence.

        Args:
            clips: The clips.
            tick: Called with the number of clips after each batch of each network.

        Returns:
            (U, 2), NaN where no network could see anything, and the network that each row is of ("mean" in NaN rows).
        """
        settings = config.Settings.read()
        with torch_threads(settings.num_threads):
            return fall_back(
                {
                    network: predict(path, clips, device=find_device(settings), tick=tick)
                    for network, path in self.paths.items()
                }
            )


@dataclass(frozen=True)
class Ensemble:
    """The mean of several predictors, each of which falls back to single networks of its own; or one by itself.

    Attributes:
        members: at least one, all of one kind.
    """

    members: tuple[Predictor, ...]

    @property
    def kind(self) -> str:
        """What its members are."""
        return self.members[0].kind

    @property
    def paths(self) -> dict[str, Path]:
        """Give all checkpoint files by network, numbered from 1 where there are several members."""
        several = len(self.members) > 1
        return {
            f"{network} {number}" if several else network: path
            for number, member in enumerate(self.members, 1)
            for network, path in member.paths.items()
        }

    @property
    def training_mean(self) -> np.ndarray:
        """The mean of the members', (2,)."""
        return average([member.training_mean for member in self.members])

    @property
    def faces(self) -> tuple[str, ...]:
        """The stages whose rows its members see of each face."""
        return self.members[0].faces

    @property
    def sound(self) -> str:
        """The stage whose rows its members hear."""
        return self.members[0].sound

    @property
    def needs_crops(self) -> bool:
        """Whether a member looks at crops rather than at embeddings."""
        return any(member.needs_crops for member in self.members)

    @property
    def notes(self) -> list[str]:
        """What has to be read before the numbers, each sentence once."""
        return list(dict.fromkeys(note for member in self.members for note in member.notes))

    def check_features(self, stages: Mapping[str, Any], *, crops: str) -> None:
        """Refuse features made in another way than those of a member's training; see `Predictor.check_features`."""
        for member in self.members:
            member.check_features(stages, crops=crops)

    def predict(self, clips: Clips, tick: Callable[[int], None] = lambda count: None) -> tuple[np.ndarray, list[str]]:
        """Predict as `Predictor.predict`; a row is the mean of the members that could see something."""
        found = [member.predict(clips, tick) for member in self.members]
        sources = [sources for _, sources in found]
        rests_on = [next((source for source in row if source != MEAN), MEAN) for row in zip(*sources, strict=True)]
        return average([values for values, _ in found]), rests_on


def load_ensemble(paths: Sequence[Path]) -> Ensemble:
    """Read one checkpoint or several, as `load_predictor` does.

    Raises:
        UserError: As `load_predictor`; or they are of different networks.
    """
    members = tuple(load_predictor(path) for path in paths)
    kinds = sorted({member.kind for member in members})
    if len(kinds) > 1:
        raise UserError(
            f"--checkpoint names {len(members)} checkpoints of {' and '.join(kinds)}; a mean needs checkpoints of "
            "one network"
        )
    seen = sorted({", ".join(member.faces) for member in members})
    if len(seen) > 1:
        raise UserError(f"--checkpoint names checkpoints with different features of a face: {'; '.join(seen)}")
    heard = sorted({member.sound for member in members})
    if len(heard) > 1:
        raise UserError(f"--checkpoint names checkpoints with different features of the sound: {'; '.join(heard)}")
    return Ensemble(members)


def load_predictor(path: Path) -> Predictor:
    """Read a checkpoint's file, or its folder, where the best one is taken.

    Raises:
        UserError: There is none, it is damaged, or it does not say on which features it rests; see `read_provenance`.
    """
    try:
        _, checkpoint = load_network(path)  # a damaged network is told now, not after hours of features
    except (OSError, CheckpointError) as error:
        raise UserError(f"--checkpoint: {error}") from error
    features, training_mean, settings = read_provenance(checkpoint.provenance, path)
    file = path / BEST if path.is_dir() else path
    beside = {network: file.parent / f"{network}.pt" for network in SINGLE_NETWORKS if checkpoint.kind == "joint"}
    plan = checkpoint.inputs
    # What it does not look at need not be there, or alike in all members, whatever was trained beside it.
    sound = name_sound_stage(settings["anet"] if plan.num_maps else STFT)
    faces = name_face_stages(settings["vnet"] if plan.num_frames else SPHEREFACE)
    stages = [*(("wav", sound) if plan.num_maps else ()), *(("frames", "faces") if plan.num_frames else ())]
    if plan.num_frames and plan.faces == "embeddings":
        stages += faces
    if missing := [stage for stage in stages if stage not in features]:
        raise UserError(
            f"--checkpoint {path} looks at {', '.join(missing)} and does not record how that was made; it is not as a "
            f"run writes it: {TRAIN_AGAIN}"
        )
    return Predictor(
        kind=checkpoint.kind,
        # The network itself comes last: what it can see is its own.
        paths={**{network: found for network, found in beside.items() if found.is_file()}, checkpoint.kind: file},
        features=features,
        training_mean=training_mean,
        needs_crops=bool(plan.num_frames) and plan.faces == "crops",
        stages=tuple(stages),
        faces=faces,
        sound=sound,
        notes=tuple(_find_notes(checkpoint)),
    )


def find_newest_checkpoints(folder: Path) -> list[Path]:
    """Find Joint's checkpoints of the newest report, one for each seed whose mean it reports.

    Raises:
        UserError: There is no report yet, or it does not say so.
    """
    path = folder / "latest" / REPORT_JSON
    if not path.is_file():
        raise UserError(f"{path} does not exist: no network has been trained yet; run FullRun, or name a --checkpoint")
    content = open_report_json(path)
    try:
        if "ensemble" in content:
            return [Path(folder) for folder in content["ensemble"]["checkpoints"]["joint"]]
        return [Path(content["provenance"]["checkpoints"]["joint"])]
    except KeyError as error:
        raise UserError(f"{path} does not name Joint's checkpoint; name a --checkpoint") from error


def _find_notes(checkpoint: Checkpoint) -> Iterator[str]:
    for name, source in checkpoint.weights.items():
        if source == "random":
            yield f"RANDOM WEIGHTS: the training of {checkpoint.kind} started from a random {name}"
    embeddings = checkpoint.provenance["features"].get("embeddings", {}).get("settings", {}).get("weights", "")
    if checkpoint.inputs.num_frames and checkpoint.inputs.faces == "embeddings" and embeddings.startswith("random"):
        yield "RANDOM WEIGHTS: a random network made the face embeddings; the results mean nothing"
