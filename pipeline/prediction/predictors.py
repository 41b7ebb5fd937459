"""Checkpoints that predict new clips: loading them, checking that the features fit, and predicting."""

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

#: Joint's folder also has the checkpoints of these two, for clips without sound or without a face.
SINGLE_NETWORKS = ("anet", "vnet")


@dataclass(frozen=True)
class Predictor:
    """A trained network; for Joint also the two networks to which it falls back.

    Attributes:
        kind: "anet", "vnet" or "joint".
        paths: network to checkpoint file.
        features: what determined the bytes of the stages on which it was trained (see `fingerprints.describe_stages`).
        training_mean: (2,) mean arousal and valence of its training split, for clips without any input.
        needs_crops: whether its input is crops instead of embeddings.
        stages: the stages whose rows are its input, and the stages before them.
        notes: sentences to read before the predictions.
        faces: the stages whose rows are its input for each face, if that is not crops.
        sound: the stage whose rows are its input of sound.
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
        """Refuse features that are made with other settings than those of the training.

        Args:
            stages: what determines each stage's bytes with today's settings.
            crops: the value of `[faces] crops`.

        Raises:
            UserError: Settings differ, and the message says which; or crops are needed and not kept.
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
                + "\nGive your settings the checkpoint's values, or train with your settings"
            )

    def predict(self, clips: Clips, tick: Callable[[int], None] = lambda count: None) -> tuple[np.ndarray, list[str]]:
        """Predict arousal and valence.

        Args:
            clips: The clips.
            tick: Called with the number of clips after each batch of each network.

        Returns:
            (U, 2), NaN where no network has an input; and for each row the network that it is from ("mean" for NaN
            rows).
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
    """One predictor, or several whose predictions are averaged; each falls back to its own single networks.

    Attributes:
        members: at least one predictor, all of the same kind.
    """

    members: tuple[Predictor, ...]

    @property
    def kind(self) -> str:
        """The kind of its members: "anet", "vnet" or "joint"."""
        return self.members[0].kind

    @property
    def paths(self) -> dict[str, Path]:
        """All checkpoint files by network; the networks are numbered from 1 where there are several members."""
        several = len(self.members) > 1
        return {
            f"{network} {number}" if several else network: path
            for number, member in enumerate(self.members, 1)
            for network, path in member.paths.items()
        }

    @property
    def training_mean(self) -> np.ndarray:
        """The mean of the members' training means, (2,)."""
        return average([member.training_mean for member in self.members])

    @property
    def faces(self) -> tuple[str, ...]:
        """The stages whose rows are its members' input for each face."""
        return self.members[0].faces

    @property
    def sound(self) -> str:
        """The stage whose rows are its members' input of sound."""
        return self.members[0].sound

    @property
    def needs_crops(self) -> bool:
        """Whether the input of a member is crops instead of embeddings."""
        return any(member.needs_crops for member in self.members)

    @property
    def notes(self) -> list[str]:
        """Sentences to read before the predictions, each only once."""
        return list(dict.fromkeys(note for member in self.members for note in member.notes))

    def check_features(self, stages: Mapping[str, Any], *, crops: str) -> None:
        """Call `Predictor.check_features` of each member."""
        for member in self.members:
            member.check_features(stages, crops=crops)

    def predict(self, clips: Clips, tick: Callable[[int], None] = lambda count: None) -> tuple[np.ndarray, list[str]]:
        """Predict like `Predictor.predict`; each row is the mean over the members that have an input for it."""
        found = [member.predict(clips, tick) for member in self.members]
        sources = [sources for _, sources in found]
        rests_on = [next((source for source in row if source != MEAN), MEAN) for row in zip(*sources, strict=True)]
        return average([values for values, _ in found]), rests_on


def load_ensemble(paths: Sequence[Path]) -> Ensemble:
    """Read one checkpoint or several; see `load_predictor`.

    Raises:
        UserError: The same as from `load_predictor`; or the checkpoints are of different networks, or of different
            features.
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
    """Read a checkpoint from its file, or the best one from its folder.

    Raises:
        UserError: There is no checkpoint, it is damaged, or it does not record its features; see `read_provenance`.
    """
    try:
        _, checkpoint = load_network(path)  # a damaged network is reported now, not after hours of features
    except (OSError, CheckpointError) as error:
        raise UserError(f"--checkpoint: {error}") from error
    features, training_mean, settings = read_provenance(checkpoint.provenance, path)
    file = path / BEST if path.is_dir() else path
    beside = {network: file.parent / f"{network}.pt" for network in SINGLE_NETWORKS if checkpoint.kind == "joint"}
    plan = checkpoint.inputs
    # Features that are not its input need not be there, and may differ between members.
    sound = name_sound_stage(settings["anet"] if plan.num_maps else STFT)
    faces = name_face_stages(settings["vnet"] if plan.num_frames else SPHEREFACE)
    stages = [*(("wav", sound) if plan.num_maps else ()), *(("frames", "faces") if plan.num_frames else ())]
    if plan.num_frames and plan.faces == "embeddings":
        stages += faces
    if missing := [stage for stage in stages if stage not in features]:
        raise UserError(
            f"--checkpoint {path} uses {', '.join(missing)} and does not record how these were made, so no run of "
            f"this release wrote it; {TRAIN_AGAIN}"
        )
    return Predictor(
        kind=checkpoint.kind,
        # The network itself comes last, so that its own predictions replace those of the single networks.
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
    """Find Joint's checkpoints of the newest report, one for each seed.

    Raises:
        UserError: There is no report yet, or it does not name Joint's checkpoints.
    """
    path = folder / "latest" / REPORT_JSON
    if not path.is_file():
        raise UserError(
            f"{path} does not exist: no network has been trained yet; `valar run` trains them, or name a --checkpoint"
        )
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
