"""The folders and files of a store (FORMAT.md, section 1)."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from store.errors import StoreError
from store.features import is_feature, list_stage_folders
from store.names import is_id
from store.schema import SCHEMAS

#: The folders of a store; there may be others beside them (pages).
OWN_FOLDERS = ("shards", "roots", "damaged", *SCHEMAS)


def is_own_folder(name: str) -> bool:
    """Tell whether a folder of this name is the store's own, in which nothing else may be put."""
    return name in OWN_FOLDERS or is_feature(name)


def check_is_store(root: Path) -> None:
    """Refuse a folder that is not a store.

    Raises:
        StoreError: It has none of a store's folders.
    """
    if not any((root / name).is_dir() for name in ("shards", "roots", *SCHEMAS)):
        raise StoreError(
            f"{root} is not a feature store: it has none of the folders shards, roots and {', '.join(SCHEMAS)}"
        )
    check_is_readable(root)


def check_is_readable(root: Path) -> None:
    """Refuse a store with a folder that this process may not list: its content would count as missing.

    A store that does not exist yet is accepted.

    Raises:
        StoreError: A folder may not be listed; the message names it.
    """
    for folder in (root, *(root / name for name in OWN_FOLDERS)):
        _check_folder(folder)
    for stage in SCHEMAS:
        for folder in (root / stage).glob("*"):
            if is_id(folder.name):
                _check_folder(folder)


def _check_folder(folder: Path) -> None:
    try:
        with os.scandir(folder):
            os.stat(f"{folder}/.")  # noqa: PTH116 (a Path drops the dot; opening what is in it needs a second right)
    except (FileNotFoundError, NotADirectoryError):
        pass  # the code that needs the folder reports it
    except OSError as error:
        raise StoreError(
            f"{folder} cannot be read ({error.strerror}); ask its owner for the right to read the whole store"
        ) from error


def stage_folder(root: Path, stage: str, fingerprint: str) -> Path:
    """Give the folder of a stage set: all shards of one stage under one fingerprint."""
    return root / stage / fingerprint


def shard_path(root: Path, stage: str, fingerprint: str, shard: str) -> Path:
    """Give the HDF5 file of one stage and shard."""
    return stage_folder(root, stage, fingerprint) / f"{shard}.h5"


def wav_path(root: Path, fingerprint: str, shard: str, name: str) -> Path:
    """Give the WAV file of an utterance, in the folder beside its shard's file."""
    return stage_folder(root, "wav", fingerprint) / shard / f"{name}.wav"


def plans_folder(root: Path) -> Path:
    """Give the folder of the plan: one JSON file per shard."""
    return root / "shards"


def listings_folder(root: Path) -> Path:
    """Give the folder of the runs' listings. It is called `roots` on the disk because `gc` starts from them."""
    return root / "roots"


def damaged_folder(root: Path) -> Path:
    """Give the folder of the files that `verify --repair` has set aside."""
    return root / "damaged"


@dataclass(frozen=True, order=True)
class StageSet:
    """All shards of one stage under one fingerprint, as they lie on the disk."""

    stage: str
    fingerprint: str
    folder: Path

    @property
    def shards(self) -> dict[str, Path]:
        """The ids of its shards and their files, sorted."""
        return {path.stem: path for path in sorted(self.folder.glob("*.h5")) if is_id(path.stem)}


def find_stage_sets(root: Path) -> Iterator[StageSet]:
    """Find the stage sets of a store, in the order of the chain."""
    for stage in list_stage_folders(root):
        for folder in sorted((root / stage).glob("*")):
            if is_id(folder.name) and folder.is_dir():
                yield StageSet(stage, folder.name, folder)


def find_links(root: Path) -> list[Path]:
    """Find those of a store's own folders that are links to elsewhere."""
    stages = list_stage_folders(root)
    folders = [root / name for name in dict.fromkeys([*OWN_FOLDERS, *stages])]
    folders += [folder for stage in stages for folder in sorted((root / stage).glob("*"))]
    return [folder for folder in folders if folder.is_symlink()]
