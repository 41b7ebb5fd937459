"""To have the modes of files obeyed although the tests may run as root, who may read and write everything."""

import contextlib
import ctypes
import os
import struct

_VERSION_3 = 0x20080522
# CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH of linux/capability.h.
_PAST_MODES = (1 << 1) | (1 << 2)

#: Code that has the modes obeyed in a process from then on; it needs the repository on the path.
OBEY_MODES = "from tests.modes import obey_modes\nobey_modes()\n"


def _call(name, data):
    libc = ctypes.CDLL(None, use_errno=True)
    header = ctypes.create_string_buffer(struct.pack("=Ii", _VERSION_3, 0))
    if getattr(libc, name)(header, data) != 0:
        raise OSError(ctypes.get_errno(), f"{name} failed")


def obey_modes():
    """Let go of the rights to pass over modes, in this thread and those that it starts; return what gets them back."""
    before = ctypes.create_string_buffer(24)
    _call("capget", before)
    effective, *others = struct.unpack("=6I", before.raw)
    _call("capset", ctypes.create_string_buffer(struct.pack("=6I", effective & ~_PAST_MODES, *others), 24))
    return lambda: _call("capset", before)


@contextlib.contextmanager
def modes_obeyed():
    """Have the modes obeyed for a while."""
    restore = obey_modes() if os.geteuid() == 0 else lambda: None
    try:
        yield
    finally:
        restore()
