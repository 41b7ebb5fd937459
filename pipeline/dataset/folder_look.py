"""A digest of folders of clips. If it is the same again, nothing that a run depends on has changed in them."""

import hashlib
import os
import stat
from collections.abc import Iterable
from pathlib import Path


class Rights:
    """The rights of this process to read; its user and groups are looked up once."""

    def __init__(self) -> None:
        self.user = os.geteuid()
        self.groups = frozenset({os.getegid(), *os.getgroups()})

    def may_read(self, status: os.stat_result) -> bool:
        """Tell by the mode, without opening the file; access lists may allow more."""
        if status.st_uid == self.user:
            bit = stat.S_IRUSR
        else:
            bit = stat.S_IRGRP if status.st_gid in self.groups else stat.S_IROTH
        return bool(status.st_mode & bit)


class FolderLook:
    """A digest of folders: the name of each entry and, if it is no folder, also its mode, owner, size and time.

    Attributes:
        names: of the folders below the folder of videos, in the order in which they were listed.
        is_sure: whether the digest covers everything that a run depends on. It does not if a link leads nowhere, or if
            a file's mode does not say whether the file may be read: such facts are not in the digest.
    """

    def __init__(self) -> None:
        self.names: list[str] = []
        self.is_sure = True
        self._rights = Rights()
        self._sha256 = hashlib.sha256(f"{self._rights.user} {sorted(self._rights.groups)}".encode())

    @property
    def digest(self) -> str:
        """The digest so far, hexadecimal."""
        return self._sha256.hexdigest()

    def add(self, name: str, entries: Iterable[os.DirEntry[str]]) -> None:
        """Add a folder.

        Args:
            name: Of the folder; "" for the folder of videos itself.
            entries: Its entries, in any order.
        """
        may_read = self._rights.may_read
        # No name contains a slash, so different folders give different texts.
        parts = []
        # Nearly all files of a folder have the same mode and owner.
        last, rights, is_readable = (0, 0, 0), "", False
        for entry in entries:
            try:
                if entry.is_dir(follow_symlinks=False):
                    parts.append(f"{entry.name}//")
                    continue
                status = entry.stat()
            except OSError:
                self.is_sure = False
                continue
            owned = (status.st_mode, status.st_uid, status.st_gid)
            if owned != last:
                last, rights, is_readable = owned, f"{owned[0]} {owned[1]} {owned[2]}", may_read(status)
            if not is_readable:
                self.is_sure = False
            parts.append(f"{entry.name}/{rights} {status.st_size} {status.st_mtime_ns}")
        self._sha256.update("/".join([name, *sorted(parts), "/"]).encode(errors="surrogateescape"))
        if name:
            self.names.append(name)


def look_into(videos: Path, names: Iterable[str]) -> FolderLook:
    """List the folder of videos, and folders in it, as `find_clips` does.

    Raises:
        OSError: A folder does not exist, or cannot be listed.
    """
    look = FolderLook()
    with os.scandir(videos) as entries:
        look.add("", entries)
    for name in names:
        with os.scandir(f"{videos}/{name}") as entries:
            look.add(name, entries)
    return look
