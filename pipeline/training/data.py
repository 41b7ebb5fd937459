"""The data for training and prediction: a run's utterances with their labels, statuses and rows."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from models.inputs.clips import Clips
from models.paper import STFT_HOP_SECONDS
from models.training.settings import SPHEREFACE, STFT, split_names
from pipeline.dataset.holding_out import hold_out
from pipeline.dataset.utterances import Utterance, tell_label_range
from pipeline.errors import UserError
from pipeline.runs.kept_crops import find_crops
from pipeline.runs.outcome.ledger import LedgerRow, read_ledger
from pipeline.runs.run import Run
from pipeline.training.clips import SplitRows

#: The held-out part of the training split that chooses the epoch (`[run] select_on = train`).
SELECTION = "selection"


def name_face_stages(features: str) -> tuple[str, ...]:
    """Give the stages of the features that `[vnet] features` names.

    >>> name_face_stages("sphereface20, mini")
    ('embeddings', 'face_mini')
    """
    return tuple("embeddings" if name == SPHEREFACE else f"face_{name}" for name in split_names(features))


def name_other_choice(select_on: str) -> str:
    """Give the other value of `[run] select_on`.

    >>> name_other_choice("train")
    'validation'
    """
    return "train" if select_on == "validation" else "validation"


def name_sound_stage(feature: str) -> str:
    """Give the stage of the feature that `[anet] features` names.

    >>> name_sound_stage("stft"), name_sound_stage("low_level")
    ('stft', 'sound_low_level')
    """
    return STFT if feature == STFT else f"sound_{feature}"


@dataclass(frozen=True)
class TrainingData:
    """A run's utterances with their statuses and features.

    Args:
        run: The run. All its shards are finished, except for a forecast.
        ledger: The statuses of its utterances, by name.
        is_forecast: Whether some features are not made yet; the statuses then are those that are expected.
    """

    run: Run
    ledger: dict[str, LedgerRow]
    is_forecast: bool = False

    @classmethod
    def read(cls, run: Run) -> "TrainingData":
        """Read the statuses from the store."""
        return cls(run, read_ledger(run))

    def utterances(self, split: str) -> list[Utterance]:
        """Give a split's utterances in the order of its CSV file."""
        return [utterance for utterance in self.run.dataset.utterances if utterance.split == split]

    @property
    def splits(self) -> list[str]:
        """Names of the splits that have a CSV file."""
        return list(dict.fromkeys(utterance.split for utterance in self.run.dataset.utterances))

    @cached_property
    def held_out(self) -> frozenset[str]:
        """Names of the training clips that are held out of training and choose the epoch; none by default."""
        return frozenset() if self.run.settings.run.select_on == "validation" else hold_out(self.run.dataset)

    def find_part(self, utterance: Utterance) -> str:
        """Say for what a training uses a clip.

        Returns:
            "train" for a clip that is trained on. "validation" for a clip that helps to choose the epoch, or
            `SELECTION` if that clip is of the training split. "" for a clip that the training does not use.
        """
        if utterance.split == "train":
            return SELECTION if utterance.name in self.held_out else "train"
        is_chosen_on = utterance.split == "validation" and self.run.settings.run.select_on == "validation"
        return "validation" if is_chosen_on else ""

    def list_part(self, *, chooses: bool) -> list[Utterance]:
        """Give the clips that choose the epoch, or without `chooses` the clips that are trained on."""
        parts = ("validation", SELECTION) if chooses else ("train",)
        return [utterance for utterance in self.run.dataset.utterances if self.find_part(utterance) in parts]

    def labels(self, split: str) -> np.ndarray | None:
        """Give a split's labels as in its CSV file: (U, 2) float64, NaN for a missing label; None if all are."""
        return _read_labels(self.utterances(split))

    def training_mean(self) -> np.ndarray:
        """Give the mean arousal and valence of the training split, (2,)."""
        labels = self.labels("train")
        assert labels is not None  # check_trainable has made sure that there are some
        return np.nanmean(labels, axis=0)

    @functools.cached_property
    def face_stages(self) -> tuple[str, ...]:
        """The stages whose rows are VNet's input for each face (`[vnet] features`)."""
        return name_face_stages(self.run.settings.vnet.features)

    def sees_face(self, row: LedgerRow, stages: Sequence[str] | None = None) -> bool:
        """Tell whether an utterance has all features of VNet's input; `stages` is by default `face_stages`."""
        named = self.face_stages if stages is None else stages
        if not row.has_face or named == ("embeddings",):
            return row.has_face
        own = [row.features.get(stage) for stage in named if stage != "embeddings"]
        return all(state is not None and state.is_there for state in own)

    @property
    def sound_stage(self) -> str:
        """The stage whose rows are ANet's input (`[anet] features`)."""
        return name_sound_stage(self.run.settings.anet.features)

    def hears(self, row: LedgerRow, stage: str | None = None) -> bool:
        """Tell whether an utterance has the features of ANet's input; `stage` is by default `sound_stage`."""
        stage = stage or self.sound_stage
        if stage == STFT:
            return row.has_sound
        state = row.features.get(stage)
        return row.has_sound and state is not None and state.is_there

    def locate(
        self,
        split: str,
        *,
        finetune: bool | None = None,
        faces: Sequence[str] | None = None,
        sound: str | None = None,
    ) -> SplitRows:
        """Give the places of a split's rows.

        Args:
            split: The split's name.
            finetune: Whether crops are needed; by default from `[vnet] backbone`.
            faces: The stages of VNet's input; by default from `[vnet] features`.
            sound: The stage of ANet's input; by default from `[anet] features`.
        """
        return self.locate_rows(self.utterances(split), finetune=finetune, faces=faces, sound=sound)

    def locate_rows(
        self,
        utterances: Sequence[Utterance],
        *,
        finetune: bool | None = None,
        faces: Sequence[str] | None = None,
        sound: str | None = None,
    ) -> SplitRows:
        """Give the places of the rows of any utterances; see `locate`."""
        labels = _read_labels(utterances)
        if finetune is None:
            finetune = self.run.settings.vnet.backbone == "finetune"
        rows = [self.ledger[u.name] for u in utterances]
        stages, heard = self.face_stages if faces is None else faces, sound or self.sound_stage
        return SplitRows(
            names=[u.name for u in utterances],
            labels=None if labels is None else labels.tolist(),
            stft=[str(self.run.path(heard, row.shard)) if self.hears(row, heard) else None for row in rows],
            embeddings=[
                [str(self.run.path(stage, row.shard)) if self.sees_face(row, stages) else None for row in rows]
                for stage in stages
            ],
            crops=[str(find_crops(self.run, row.shard).path) if finetune and row.has_face else None for row in rows],
            hop_seconds=STFT_HOP_SECONDS if heard == STFT else self.run.features[heard].hop_seconds,
        )

    def load_clips(
        self,
        split: str,
        *,
        finetune: bool | None = None,
        faces: Sequence[str] | None = None,
        sound: str | None = None,
    ) -> Clips:
        """Give a split's labels, and views of its features; see `locate` for the arguments."""
        return self.locate(split, finetune=finetune, faces=faces, sound=sound).open(self.run.open_file)

    def check_trainable(self) -> None:
        """Refuse to train on nothing.

        Raises:
            UserError: No labelled training utterance has ANet's input, or none has VNet's.
        """
        rows = [self.ledger[u.name] for u in self.list_part(chooses=False) if u.arousal is not None]
        for what, count in (("sound", sum(map(self.hears, rows))), ("a face", sum(map(self.sees_face, rows)))):
            if count == 0:
                raise UserError(
                    f"none of the {len(rows)} labelled training utterances has {what}; see "
                    f"{self.run.folder / 'ledger.csv'} for the reason of each"
                )

    def describe(self) -> dict[str, Any]:
        """Give what the results depend on, as plain data: seed, stages, weights and settings."""
        weights = self.run.weights
        return {
            "seed": self.run.settings.run.seed,
            "stages": self.run.fingerprints,
            "features": self.run.stages,
            "weights": {name: found.sha256 for name, found in weights.items()},
            "settings": self.run.settings.describe(),
        }

    def notes(self) -> list[str]:
        """Say what a reader must know before reading the scores, such as random weights or a frozen backbone."""
        notes = [
            f"RANDOM WEIGHTS: {found.name} was not trained; the results say nothing about the method"
            for found in self.run.weights.values()
            if found.is_random
        ]
        notes += [
            f"{found.path}: these may not be the published weights {found.name}"
            for found in self.run.weights.values()
            if not found.is_random and not found.verified
        ]
        notes += tell_label_range(self.run.dataset.label_range)
        scale = self.run.settings.anet.channel_scale
        if self.sound_stage != STFT:
            sounds = [row for row in self.ledger.values() if row.has_sound]
            lacking = sum(not self.hears(row) for row in sounds)
            missing = f"; {lacking} of the {len(sounds)} clips with sound lack it" if lacking else ""
            notes.append(f"ANet and Joint use {self.run.settings.anet.features} of the sound{missing}")
        elif scale != 1:
            notes.append(f"VGG-16 has {scale:g} times the paper's channels")
        heard = self.run.settings.anet
        if (heard.input, heard.normalise) != ("stft", "map"):
            notes.append(
                f"ANet and Joint use [anet] input = {heard.input}, normalise = {heard.normalise}; the paper's are "
                "stft, map"
            )
        if self.face_stages != ("embeddings",):
            faces = [row for row in self.ledger.values() if row.has_face]
            lacking = sum(not self.sees_face(row) for row in faces)
            missing = f"; {lacking} of the {len(faces)} clips with a face lack them" if lacking else ""
            notes.append(f"VNet and Joint use {self.run.settings.vnet.features} of each face{missing}")
        if self.run.settings.vnet.backbone == "frozen":
            notes.append("VNet and Joint train on cached face embeddings (frozen); the paper also trains SphereFace")
        return notes


def _read_labels(utterances: Sequence[Utterance]) -> np.ndarray | None:
    pairs = [[np.nan if label is None else label for label in (u.arousal, u.valence)] for u in utterances]
    labels = np.array(pairs, np.float64).reshape(-1, 2)
    return None if np.isnan(labels).all() else labels
