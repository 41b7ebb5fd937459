"""The places of a split's rows in the store, as plain values, so that any process can open the rows."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from models.inputs.clips import Clips
from models.paper import CROP_HEIGHT, CROP_WIDTH, STFT_HOP_SECONDS
from store.shard.reader import Shard


@dataclass(frozen=True)
class SplitRows:
    """The utterances of a split and the files that hold their rows; nothing but text and numbers.

    Attributes:
        names: U names, video/utterance.
        labels: U pairs of arousal and valence, NaN where an utterance has none; None for a split without labels.
        stft: U paths of the shards' files of ANet's sound: STFT, or the declared feature used instead. None where an
            utterance has no sound, or lacks that feature.
        embeddings: for each feature of faces that VNet uses, U paths of the shards' files. None where an utterance has
            no face, or lacks one of these features.
        crops: U paths of the shards' files of crops, raw or JPEG; None where an utterance has no face, or where crops
            are not needed.
        hop_seconds: seconds from one row of sound to the next.
    """

    names: list[str]
    labels: list[list[float]] | None
    stft: list[str | None]
    embeddings: list[list[str | None]]
    crops: list[str | None]
    hop_seconds: float = STFT_HOP_SECONDS

    def open(self, open_file: Callable[[Path], Shard]) -> Clips:
        """Give the labels, and views of the features; rows are read only when they are used.

        Args:
            open_file: opens a shard's file.
        """

        def view(files: list[str | None], take: Callable[[Shard, str], Any]) -> list[Any]:
            # File by file, for any order of the utterances: each file is opened once, and no file must stay open.
            members: dict[str, list[int]] = {}
            for number, file in enumerate(files):
                if file is not None:
                    members.setdefault(file, []).append(number)
            views: list[Any] = [None] * len(files)
            for file, numbers in members.items():
                shard = open_file(Path(file))
                for number in numbers:
                    views[number] = take(shard, self.names[number])
            return views

        return Clips(
            names=self.names,
            labels=None if self.labels is None else np.array(self.labels, np.float32).reshape(-1, 2),
            stft=view(self.stft, view_sound_rows),
            embeddings=join_rows([view(files, view_face_rows) for files in self.embeddings]),
            crops=view(self.crops, view_crops),
            hop_seconds=self.hop_seconds,
        )


def view_sound_rows(shard: Shard, name: str) -> Any:
    """Give an utterance's rows of sound: STFT (T, 257, 2), or (R, D) of a declared feature."""
    return shard.rows(name, "stft" if shard.stage == "stft" else "value")


def view_face_rows(shard: Shard, name: str) -> Any:
    """Give an utterance's rows of faces (F, D): embeddings, or a declared feature."""
    return shard.rows(name, "embedding" if shard.stage == "embeddings" else "value")


def join_rows(parts: Sequence[Sequence[Any]]) -> list[Any]:
    """Put the rows of several features side by side.

    Args:
        parts: for each feature a list of the utterances' rows, None where an utterance has none.

    Returns:
        For each utterance (F, D1 + D2 + ...), or None where one of its features is missing. Rows are read only when
        they are used.
    """
    if len(parts) == 1:
        return list(parts[0])
    return [None if any(part is None for part in each) else JoinedRows(each) for each in zip(*parts, strict=True)]


class JoinedRows:
    """Rows of several features side by side; a sampler can use it like an array.

    Args:
        parts: arrays of shape (F, D) with the same F.

    Raises:
        ValueError: the parts have different numbers of rows.
    """

    dtype = np.dtype(np.float32)

    def __init__(self, parts: Sequence[Any]) -> None:
        counts = {len(part) for part in parts}
        if len(counts) != 1:
            raise ValueError(f"features of one face have {' and '.join(map(str, sorted(counts)))} rows")
        self._parts = parts
        self.shape = (len(parts[0]), sum(part.shape[1] for part in parts))

    def __len__(self) -> int:
        return self.shape[0]

    def release_pages(self) -> None:
        """See `MappedRows.release_pages`."""
        for part in self._parts:
            release = getattr(part, "release_pages", None)  # small rows are not mapped, and have no pages to release
            if release is not None:
                release()

    def __getitem__(self, rows: "np.ndarray | slice") -> np.ndarray:
        return np.concatenate([np.asarray(part[rows]) for part in self._parts], axis=1)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        """Read all rows."""
        return self[:].astype(dtype or self.dtype, copy=False)


def view_crops(crops: Shard, name: str) -> Any:
    """Give an utterance's crops, raw or JPEG, like an array (F, 112, 96, 3), uint8, BGR."""
    return crops.rows(name, "crop") if crops.stage == "crops" else JpegCrops(crops.images(name))


class JpegCrops:
    """Crops kept as JPEG, decoded when they are used; a sampler can use it like an array.

    Args:
        images: One JPEG file's bytes per crop; they need not be in memory.
    """

    dtype = np.dtype(np.uint8)

    def __init__(self, images: Sequence[bytes]) -> None:
        self._images = images
        self.shape = (len(images), CROP_HEIGHT, CROP_WIDTH, 3)

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, rows: "np.ndarray | slice") -> Any:
        if isinstance(rows, slice):
            return JpegCrops(self._images[rows])
        from pipeline.media.jpeg import decode_jpeg

        return np.stack([decode_jpeg(self._images[row]) for row in np.asarray(rows)])
