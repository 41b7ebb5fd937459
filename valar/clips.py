"""A store's clips as a PyTorch data set: features of different lengths, labels, and masks of the real rows."""

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset

from store import Clip, FeatureStore, StoreError
from store.export.rows import find_feature_width, read_rows
from store.features import is_feature, name_of
from store.text import format_count


class ClipDataset(Dataset[dict[str, Any]]):
    """Clips of one split, or all. Pass `collate` to a DataLoader.

    Each item is a dict with `name`; `stft` (T, 257, 2) and `embeddings` (N, 512), float32, without rows if there is no
    sound or no face; each declared feature, (N, D), as `face_<name>` or `sound_<name>`; `label` (2,), arousal and
    valence, NaN if there is none; and `is_labelled`.

    Args:
        store: The feature store.
        split: train, validation or test; None for all clips that the store lists.
        features: Names of the declared features to include; None for all that the store has.

    Attributes:
        shapes: Key of each feature in an item to the shape of one of its rows.

    Warns:
        UserWarning: A run's ledger is missing, so its clips have no labels.

    Raises:
        StoreError: No clip is in that split, or the store has no such feature.
    """

    def __init__(self, store: FeatureStore, split: str | None = None, features: Sequence[str] | None = None) -> None:
        self.store = store
        self.split = split
        listed = store.list_labels()
        self.names = [name for name in store if split is None or listed[name].split == split]
        lost = self._explain_lost_labels()
        if not self.names:
            splits = sorted({row.split for row in listed.values() if row.split})
            raise StoreError(
                f"{store.folder} has no clip in the split {split!r}; "
                + (lost or f"it must be one of {', '.join(splits) or 'none'}")
            )
        if lost:
            warnings.warn(f"{store.folder}: {lost}", stacklevel=2)
        labels = [(listed[name].arousal, listed[name].valence) for name in self.names]
        self.labels = np.array(labels, np.float32).reshape(-1, 2)  # (U, 2)
        self._places = {"stft": ("stft", "stft"), "embeddings": ("embeddings", "embedding")}
        self.shapes: dict[str, tuple[int, ...]] = {"stft": (257, 2), "embeddings": (512,)}
        for stage in self._choose_features(features):
            self._places[stage] = (stage, "value")
            self.shapes[stage] = (find_feature_width(store, stage),)

    def _choose_features(self, wanted: Sequence[str] | None) -> list[str]:
        """Return the stages of the wanted features, which may be named by stage or by feature."""
        stages = [stage for stage in self.store.stages if is_feature(stage)]
        if wanted is None:
            return stages
        known = {name: stage for stage in stages for name in (stage, name_of(stage))}
        unknown = [name for name in wanted if name not in known]
        if unknown:
            raise StoreError(
                f"{self.store.folder} has no feature {unknown[0]!r}; it has {', '.join(map(name_of, stages)) or 'none'}"
            )
        return list(dict.fromkeys(known[name] for name in wanted))

    def _explain_lost_labels(self) -> str:
        """Say which ledgers are missing; "" if none is."""
        ledgers = self.store.find_missing_ledgers()
        if not ledgers:
            return ""
        more = f" and {len(ledgers) - 1} more" if len(ledgers) > 1 else ""
        return (
            f"splits and labels are in {ledgers[0]}{more}, which does not exist; put the folder of runs back, or set "
            "[run] root to its place and run again"
        )

    def __len__(self) -> int:
        return len(self.names)

    def __repr__(self) -> str:
        """Say how many there are and how many have labels."""
        labelled = int((~np.isnan(self.labels).any(axis=1)).sum())
        split = f"split {self.split}" if self.split else "all splits"
        return (
            f"<ClipDataset of {self.store.folder}, {split}: {format_count(len(self), 'clip')}, {labelled} with labels>"
        )

    def __getitem__(self, index: int) -> dict[str, Any]:
        clip = self.store[self.names[index]]
        label = torch.from_numpy(self.labels[index].copy())
        return {
            "name": clip.name,
            **{key: self._rows(clip, key) for key in self._places},
            "label": label,
            "is_labelled": not bool(torch.isnan(label).any()),
        }

    def _rows(self, clip: Clip, key: str) -> torch.Tensor:
        rows = read_rows(clip, *self._places[key])
        return torch.zeros((0, *self.shapes[key])) if rows is None else torch.from_numpy(np.array(rows))

    @staticmethod
    def collate(items: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """Make a batch of clips, padded with zeros at their end.

        Returns:
            `names`; `stft` (B, T, 257, 2) with `stft_mask` (B, T), True where a row is real; `embeddings` (B, N, 512)
            with `embeddings_mask` (B, N); each declared feature, also with its mask; `labels` (B, 2) with
            `labels_mask` (B,).
        """
        batch: dict[str, Any] = {"names": [item["name"] for item in items]}
        for key in (key for key in items[0] if key not in ("name", "label", "is_labelled")):
            rows = [item[key] for item in items]
            lengths = torch.tensor([len(row) for row in rows])
            batch[key] = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)
            batch[f"{key}_mask"] = torch.arange(batch[key].shape[1])[None, :] < lengths[:, None]  # (B, T)
        batch["labels"] = torch.stack([item["label"] for item in items])
        batch["labels_mask"] = torch.tensor([item["is_labelled"] for item in items])
        return batch
