"""What the tests of hostile stores share."""

import json

import h5py

from store.__main__ import main
from store.shard.sidecar import compute_sidecar, read_sidecar, write_sidecar


def snapshot(folder):
    return {str(path.relative_to(folder)): path.read_bytes() if path.is_file() else b"" for path in folder.rglob("*")}


def run(capsys, *arguments):
    code = main([str(argument) for argument in arguments])
    printed = capsys.readouterr()
    return code, printed.out, printed.err


def edit(path, **changes):
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def seal(path, change, places=None):
    """Change a shard and digest it anew, as whoever made it hostile would."""
    known = read_sidecar(path).places
    with h5py.File(path, "r+") as file:
        change(file)
    write_sidecar(path, compute_sidecar(path, known if places is None else places))
