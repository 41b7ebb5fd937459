"""Disks that are full, and limits that the system sets: real ones, not imitations."""

import contextlib
import subprocess

import pytest

#: Code that lets a process write no file of more bytes from then on; to be formatted with a number.
NO_FILE_LONGER = "import resource\nresource.setrlimit(resource.RLIMIT_FSIZE, ({0}, {0}))\n"


@contextlib.contextmanager
def tiny_disk(folder, num_bytes):
    """Mount a disk of its own in an empty folder; skips the test where that is not permitted."""
    command = ["mount", "-t", "tmpfs", "-o", f"size={num_bytes}", "none", str(folder)]
    try:
        mounted = subprocess.run(command, capture_output=True, text=True)
    except FileNotFoundError:
        pytest.skip("no command `mount`")
    if mounted.returncode:
        pytest.skip(f"this process may not mount a disk: {mounted.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
