"""A terminal of 80 columns, and commands that are run on it."""

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios


def open_terminal():
    """A terminal of 80 columns: its two ends."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    return master, slave


def read_lines(master):
    """The lines that a terminal shows in the end, what was drawn over and colours left out."""
    shown = bytearray()
    while True:
        try:
            data = os.read(master, 65536)
        except OSError:  # the other end is closed
            break
        shown += data
    os.close(master)
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown.decode()).replace("\r\n", "\n")
    return [line.rpartition("\r")[2] for line in text.split("\n")]


def run_on_terminal(*words, cwd):
    """Give a command in a process of its own on such a terminal; its exit code and the lines that it shows."""
    environment = {name: value for name, value in os.environ.items() if name not in ("LUIGI_CONFIG_PATH", "COLUMNS")}
    master, slave = open_terminal()
    child = subprocess.Popen(
        [sys.executable, "-P", "-m", "valar", *words],
        cwd=cwd,
        env={**environment, "TERM": "xterm"},
        stdin=slave,
        stdout=slave,
        stderr=slave,
    )
    os.close(slave)
    lines = read_lines(master)
    return child.wait(), lines
