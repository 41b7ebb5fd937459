"""Whether a run that was ended by force has left what an uninterrupted one leaves: the same bytes, and nothing more."""

import json
import re

import torch

#: What differs from run to run: how long something took, when it was, and names made of that.
_OF_THE_CLOCK = re.compile(r"seconds$|^finished$|^time$|^date$|^when$")
#: Files of a store or a folder of runs whose names begin with a dot and that stay.
_HIDDEN = re.compile(r"\.lock|\.[0-9a-f]+(\.tables)?\.json")


def without_roots(digests):
    """Leave out the run's listing, which is named after its folder."""
    return {path: digest for path, digest in digests.items() if not path.startswith("store/roots/")}


def find_leftovers(folder):
    """Find what somebody has begun to write, and what is named as if."""
    return sorted(
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if path.suffix in (".tmp", ".part")
        or ".partial-" in path.name
        or (path.name.startswith(".") and not _HIDDEN.fullmatch(path.name))
    )


def read_predictions(place):
    """Give the newest report's files of predictions, by name."""
    return {path.rpartition("/")[2]: digest for path, digest in place.digests("runs/latest/predictions").items()}


def read_pages(place):
    """Give the names of the clips' pages: what they hold names the store's folder."""
    folder = place.folder / "runs" / "browse"
    return {str(path.relative_to(folder)): "" for path in folder.rglob("*") if path.is_file()}


def read_trainings(place):
    """Give what each folder of checkpoints holds, by file, but for the time that it took."""
    found = {}
    for path in sorted((place.folder / "runs" / "checkpoints").rglob("*")):
        name = str(path.relative_to(place.folder / "runs" / "checkpoints"))
        if path.suffix == ".pt":
            found[name] = _plain(torch.load(path, weights_only=True))
        elif path.suffix == ".jsonl":
            found[name] = [_plain(json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines()]
        elif path.suffix == ".json":
            found[name] = _plain(json.loads(path.read_text(encoding="utf-8")))
        elif path.is_file() and "curves" not in path.parts:
            found[name] = path.read_bytes()
    return found


def _plain(value):
    """Give a value with tensors as their bytes, and without what the clock has said."""
    if isinstance(value, torch.Tensor):
        return (str(value.dtype), tuple(value.shape), value.contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    if isinstance(value, dict):
        return {
            key: _plain(each) for key, each in value.items() if not (isinstance(key, str) and _OF_THE_CLOCK.search(key))
        }
    return [_plain(each) for each in value] if isinstance(value, list | tuple) else value


def find_differences(place, whole):
    """Say in what a run that was ended by force differs from an uninterrupted one, a line each."""
    pairs = {
        "the store's files": (without_roots(place.digests("store")), without_roots(whole.digests("store"))),
        "pages": (read_pages(place), read_pages(whole)),
        "predictions": (read_predictions(place), read_predictions(whole)),
        "checkpoints": (read_trainings(place), read_trainings(whole)),
    }
    lines = [f"left over: {name}" for name in find_leftovers(place.folder)]
    for what, (ours, theirs) in pairs.items():
        if not theirs:
            lines.append(f"{what}: the uninterrupted run has none")
        lines += [f"{what}: {name} is missing" for name in sorted(theirs.keys() - ours.keys())]
        lines += [f"{what}: {name} is too many" for name in sorted(ours.keys() - theirs.keys())]
        lines += [
            f"{what}: {name} differs" for name in sorted(ours.keys() & theirs.keys()) if ours[name] != theirs[name]
        ]
    return lines
