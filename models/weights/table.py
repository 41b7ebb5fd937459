"""Third-party weights: where they come from, under which licence, and whether a file is the published one.

`python -m models.weights list` and `python -m models.weights fetch NAME` are the command line; download.py does the
download. This module is imported when a run is planned, so it imports neither torch nor numpy.
"""

import functools
import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.weights.digests import read_digest

RANDOM = "random"
DEFAULT_FOLDER = Path("weights")
# First bytes of torch's files of tensors: of an archive since 2020, of a pickled number before that.
_NEW_TENSORS = b"PK\x03\x04"
_OLD_TENSORS = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."


@dataclass(frozen=True)
class WeightsEntry:
    """One row of the table of weights.

    Attributes:
        name: as given to `fetch` and `resolve_weights`.
        purpose: what it is for.
        source: URL, or the package that carries it.
        licence: of the weights.
        file_name: of the file that is loaded; inside `package` for carried weights.
        sha256: of that file; None if its publisher gives none.
        archive_name: of the downloaded file, if it has to be unpacked.
        archive_git_blob: git's SHA-1 of the archive (of `blob <size>`, a zero byte and its bytes).
        package: the installed package that carries the file, as name==version.
    """

    name: str
    purpose: str
    source: str
    licence: str
    file_name: str
    sha256: str | None = None
    archive_name: str | None = None
    archive_git_blob: str | None = None
    package: str | None = None

    @property
    def published_digest(self) -> str:
        """The digest that is checked, with its kind."""
        return f"sha256 {self.sha256}" if self.sha256 else f"git blob {self.archive_git_blob} (of {self.archive_name})"


def _carried(network: str, sha256: str) -> WeightsEntry:
    return WeightsEntry(
        name=f"mtcnn-{network}",
        purpose=f"MTCNN's {network[0].upper()}-Net (face detection)",
        source="https://pypi.org/project/mtcnn/1.0.0/",
        licence="MIT",
        file_name=f"assets/weights/{network}.lz4",
        sha256=sha256,
        package="mtcnn==1.0.0",
    )


WEIGHTS: dict[str, WeightsEntry] = {
    entry.name: entry
    for entry in (
        _carried("pnet", "ea6b0c3e685ebee3165326ad6484acc95f2ef78f1c94fbf40a55704fa989f7b5"),
        _carried("rnet", "cb00e6460f3c98b0bfafaba3c0a0ded4bdf6e62cee7174d969e8670d7e757fee"),
        _carried("onet", "94f6ea2f4cf985275ee958cdd762d17b6009348a4fb9d8c6be39ba73ffd22ca3"),
        WeightsEntry(
            name="sphereface20",
            purpose="SphereFace-20 (face embeddings)",
            source="https://github.com/clcarwin/sphereface_pytorch/raw/master/model/sphere20a_20171020.7z",
            licence="MIT",
            file_name="sphere20a_20171020.pth",
            archive_name="sphere20a_20171020.7z",
            archive_git_blob="ecf48ac4157d63d20f7b7ff74a4064ab0a016005",
        ),
        WeightsEntry(
            name="vgg16",
            purpose="VGG-16 on ImageNet (start of ANet)",
            source="https://download.pytorch.org/models/vgg16-397923af.pth",
            licence="BSD-3-Clause",
            file_name="vgg16-397923af.pth",
            sha256="397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0",
        ),
    )
}


@dataclass(frozen=True)
class ResolvedWeights:
    """Weights that a run will use.

    Attributes:
        path: the file; None for random weights.
        sha256: of the file; "random" for random weights, which depend on the caller's seed.
        verified: whether the file is known to be the published one.
    """

    name: str
    path: Path | None
    sha256: str
    is_random: bool
    verified: bool


@dataclass(frozen=True)
class CarriedWeights:
    """A file of weights inside an installed package, with the sha256 that it must have."""

    name: str
    path: Path
    sha256: str


class WeightsError(Exception):
    """Weights that cannot be used."""


class MissingWeightsError(WeightsError, FileNotFoundError):
    """A file of weights that is not there."""


class WrongDigestError(WeightsError, ValueError):
    """A file that is not the published one."""

    def __init__(self, path: Path, *, expected: str, found: str, remedy: str) -> None:
        super().__init__(f"{path} is not the published file: its digest is {found}, it must be {expected}; {remedy}")
        self._made_of = functools.partial(type(self), path, expected=expected, found=found, remedy=remedy)

    def __reduce__(self) -> Any:
        """Let the error be pickled, so that it can come from another process."""
        return self._made_of, ()


class DamagedWeightsError(WeightsError, ValueError):
    """A file that holds no tensors."""


def find_weights_entry(name: str) -> WeightsEntry:
    """Return the row of the table of this name.

    Raises:
        WeightsError: there is none.
    """
    if name not in WEIGHTS:
        raise WeightsError(f"no weights are called {name!r}; known: {', '.join(WEIGHTS)}")
    return WEIGHTS[name]


def resolve_weights(name: str, setting: str) -> ResolvedWeights:
    """Find the weights that a setting names and take their digest.

    The digest of a file is stored in a sidecar beside it, with its size and modification time, so that a second call
    does not read hundreds of megabytes again.

    Args:
        name: a name of the table.
        setting: a path, or the word `random`.

    Returns:
        What to load. `verified` is False if no digest of this file is published and `fetch` did not unpack it.

    Raises:
        MissingWeightsError: there is no such file; says the source, the digest and the command that fetches it.
        WrongDigestError: the file is not the published one.
        DamagedWeightsError: the file's origin is unknown, and it does not begin as a file of tensors does.
        WeightsError: an unknown name or an empty setting.
    """
    entry = find_weights_entry(name)
    if not setting.strip():
        raise WeightsError(f"the setting for weights {name!r} is empty: it must be a path or the word {RANDOM!r}")
    if setting == RANDOM:
        return ResolvedWeights(name, None, RANDOM, is_random=True, verified=False)
    path = Path(setting)
    if not path.is_file():
        raise MissingWeightsError(_describe_missing(entry, path))
    digest, verified_from = read_digest(path)
    if entry.sha256 is not None and digest != entry.sha256:
        raise WrongDigestError(
            path, expected=entry.sha256, found=digest, remedy=f"remove it, then {_fetch_hint(entry, path)}"
        )
    verified = entry.sha256 is not None or (verified_from is not None and verified_from == entry.archive_git_blob)
    if not verified:
        _check_beginning(entry, path)
    return ResolvedWeights(name, path, digest, is_random=False, verified=verified)


def find_carried_weights(name: str) -> CarriedWeights:
    """Find weights inside the installed package that carries them, without importing it: mtcnn imports TensorFlow.

    Raises:
        MissingWeightsError: the package or the file is not there.
        WeightsError: the table has no such name, or no package carries it.
    """
    entry = find_weights_entry(name)
    if entry.package is None or entry.sha256 is None:
        raise WeightsError(f"no package carries weights {name!r}; fetch them: valar weights fetch {name}")
    spec = importlib.util.find_spec(entry.package.partition("==")[0])
    folder = Path(spec.origin).parent if spec is not None and spec.origin is not None else None
    if folder is None or not (folder / entry.file_name).is_file():
        where = entry.package if folder is None else str(folder / entry.file_name)
        raise MissingWeightsError(
            f"weights {name!r}: {where} is not there; source {entry.source}, {entry.published_digest}; "
            f"install it: pip install {entry.package}"
        )
    return CarriedWeights(name, folder / entry.file_name, entry.sha256)


def _check_beginning(entry: WeightsEntry, path: Path) -> None:
    """Refuse a web page or a text in place of weights at once, before earlier stages take hours."""
    with path.open("rb") as file:
        start = file.read(len(_OLD_TENSORS))
    if start != _OLD_TENSORS and not start.startswith(_NEW_TENSORS):
        raise DamagedWeightsError(
            f"{path} is not a file of tensors saved by torch (weights {entry.name!r}): remove it, then "
            f"{_fetch_hint(entry, path)}; or set it to {RANDOM!r} for random weights"
        )


def _fetch_hint(entry: WeightsEntry, path: Path) -> str:
    command = f"valar weights fetch {entry.name} --folder {path.parent}"
    renamed = "" if path.name == entry.file_name else f" and set the path to {path.parent / entry.file_name}"
    return f"fetch it: {command}{renamed}"


def _describe_missing(entry: WeightsEntry, path: Path) -> str:
    return (
        f"weights {entry.name!r} ({entry.purpose}): there is no file {path}; source {entry.source} ({entry.licence}), "
        f"{entry.published_digest}; {_fetch_hint(entry, path)}; or set it to {RANDOM!r} for random weights"
    )
