"""What was seen in folders of clips, as a digest: seen again, nothing there has changed that a run asks for."""

import hashlib
import os
import stat
from collections.abc import Iterable
from pathlib import Path


class Rights:
    """What this process may read; its user and groups are asked for once."""

    def __init__(self) -> None:
        self.user = os.geteuid()
        self.groups = frozenset({os.getegid(), *os.getgroups()})

    def may_read(self, status: os.stat_result) -> bool:
        """Tell by the mode, which costs no look at the disk; access lists may allow more."""
        if status.st_uid == self.user:
            bit = stat.S_IRUSR
        else:
            bit = stat.S_IRGRP if status.st_gid in self.groups else stat.S_IROTH
        return bool(status.st_mode & bit)


class FolderLook:
    """A digest of folders: of each entry its name, and of what is no folder mode, owner, size and time.

    Attributes:
        names: of the folders below the folder of videos, in the order in which they were looked into.
        is_sure: whether all that was asked for was seen. It is not where a link leads nowhere or a mode does not say
            whether a file may be read: what is found out about such a file is not in the digest.
    """

    def __init__(self) -> None:
        self.names: list[str] = []
        self.is_sure = True
        self._rights = Rights()
        self._sha256 = hashlib.sha256(f"{self._rights.user} {sorted(self._rights.groups)}".encode())

    @property
    def digest(self) -> str:
        """What was seen so far, hexadecimal."""
        return self._sha256.hexdigest()

    def add(self, name: str, entries: Iterable[os.DirEntry[str]]) -> None:
        """Take a folder in.

        Args:
            name: Of the folder; "" for the folder of videos itself.
            entries: What is in it, in any order.
        """
        may_read = self._rights.may_read
        # A slash is in no name, so that no two folders give the same text.
        parts = []
        # Of the files of a folder nearly all have the same mode and owner.
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
    """Look into the folder of videos, and into folders in it, as `find_clips` does.

    Raises:
        OSError: One is not there, or cannot be listed.
    """
    look = FolderLook()
    with os.scandir(videos) as entries:
        look.add("", entries)
    for name in names:
        with os.scandir(f"{videos}/{name}") as entries:
            look.add(name, entries)
    return look
