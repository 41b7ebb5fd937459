"""A feature that the user declares: `[features.NAME]` names a network and describes its input (docs/features.md)."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from models.paper import CROP_HEIGHT, CROP_WIDTH, SAMPLE_RATE
from pipeline.chain import Stage
from pipeline.settings.feature_options import FEATURE_OPTIONS
from store.features import NAME

#: The names of these sections begin with this.
SECTION = "features."
#: Raised when the code that prepares inputs or writes rows changes their values.
FEATURE_VERSION = 1
#: Reserved names: the networks' own inputs.
OWN_NAMES = ("sphereface20", "stft")

_SHA256 = re.compile(r"[0-9a-f]{64}")
_SIZE = re.compile(r"([1-9][0-9]{0,3})x([1-9][0-9]{0,3})")
_SIZES = {"crop": (CROP_WIDTH, CROP_HEIGHT), "face_region": (224, 224)}
#: The stages whose files a feature is made from, by its input.
_SOURCES = {"crop": ("faces", "crops"), "face_region": ("frames", "faces"), "waveform": ("wav",)}
#: Options that are for pictures only, and for sound only.
_PICTURE = ("size", "colours", "layout", "mean", "deviation")
_SOUND = ("sample_rate", "window_seconds", "hop_seconds")


class BuiltIn(NamedTuple):
    """A network that Valar brings.

    Attributes:
        entry_point: package.module:callable.
        hop_seconds: seconds from one row to the next.
        packages: the packages that it needs; their versions are part of the feature's fingerprint.
        code: the SHA-256 of its file when its rows last changed; it represents the code in the fingerprint. Keep it
            after an edit that changes no row; after any other edit, put the file's new SHA-256 here.
    """

    entry_point: str
    hop_seconds: float
    packages: tuple[str, ...]
    code: str


BUILT_IN = {
    "voice_activity": BuiltIn(
        "models.features.voice_activity:open_voice_activity",
        0.032,
        ("silero-vad", "onnxruntime"),
        "e04b7b1c23327e1b55399d875af83467692bad6c24eb9d76bde98a786c991734",
    ),
    "egemaps": BuiltIn(
        "models.features.egemaps:open_egemaps",
        0.01,
        ("opensmile",),
        "5393f9c92b290606854031cc589aaafcc42086764cb403c203997686b8e2ca9e",
    ),
}


@dataclass(frozen=True, kw_only=True)
class Feature:
    """The values of one `[features.NAME]` section; `FEATURE_OPTIONS` explains each option.

    Args:
        name: NAME, the user's own name for the feature.
        size: (width, height) in pixels.
        mean: One number, or three.
        deviation: One number, or three.
        packages: Installed packages (distributions) whose versions are part of the feature's fingerprint.
    """

    name: str
    input: str
    model: str
    sha256: str
    packages: tuple[str, ...]
    size: tuple[int, int]
    margin: float
    colours: str
    layout: str
    mean: tuple[float, ...]
    deviation: tuple[float, ...]
    sample_rate: int
    window_seconds: float
    hop_seconds: float
    precision: str
    batch_size: int

    @property
    def stage(self) -> str:
        """Name of its stage in the store."""
        return f"{'sound' if self.is_sound else 'face'}_{self.name}"

    @property
    def is_sound(self) -> bool:
        """Whether it is computed from sound, and not from faces."""
        return self.input == "waveform"

    @property
    def kind(self) -> str:
        """The kind of its network: onnx, exported (a .pt2 file) or code."""
        return {".onnx": "onnx", ".pt2": "exported"}.get(Path(self.model).suffix, "code")

    @property
    def is_voice_activity(self) -> bool:
        """Whether its rows say how likely each piece of sound is speech."""
        return self.model == BUILT_IN["voice_activity"].entry_point

    @property
    def built_in(self) -> BuiltIn | None:
        """The network's entry in `BUILT_IN`; None for a network of the user."""
        return next((each for each in BUILT_IN.values() if each.entry_point == self.model), None)

    @property
    def is_whole(self) -> bool:
        """Whether the network is given a clip's whole sound at once."""
        return self.is_sound and self.window_seconds == 0

    def as_stage(self) -> Stage:
        """Give its place in the chain."""
        own = {"onnx": ("onnxruntime",), "exported": ("torch",), "code": ()}[self.kind]
        return Stage(
            self.stage,
            f"compute {self.name}",
            FEATURE_VERSION,
            tuple(dict.fromkeys(("numpy", *own, *self.packages))),
            before="wav" if self.is_sound else "faces",
            is_feature=True,
            made_from={self.stage: _SOURCES[self.input]},
        )

    def describe(self) -> dict[str, Any]:
        """Give the settings that change its rows, as plain data; the caller adds the network's digest."""
        names = [*(_SOUND if self.is_sound else _PICTURE), *(["margin"] if self.input == "face_region" else [])]
        values = {name: getattr(self, name) for name in names}
        plain = {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}
        return {"input": self.input, **plain, **({"precision": self.precision} if self.kind == "exported" else {})}


def read_feature(section: str, values: Mapping[str, str]) -> Feature:
    """Make a feature of a section's options.

    Args:
        section: "features.NAME".
        values: Option to text, as in the file. Every option is known, and its value was found valid by itself.

    Raises:
        ValueError: The values do not fit together; one line for each fault.
    """
    name = section.removeprefix(SECTION)
    given = {
        option: parameter.parse(values[option]) for option, parameter in FEATURE_OPTIONS.items() if option in values
    }
    found = {option: given.get(option, parameter._default) for option, parameter in FEATURE_OPTIONS.items()}
    packages = tuple(part.strip() for part in found["packages"].split(",") if part.strip())
    model = found["model"].strip()
    if model in BUILT_IN:
        found["model"], found["hop_seconds"], packages, _ = BUILT_IN[model]
        taken = [option for option in given if option not in ("input", "model")]
        if taken or found["input"] != "waveform":
            raise ValueError(f"[{section}] model = {model} allows only input = waveform and no other option")
    faults = [f"[{section}] {fault}" for fault in _find_faults(name, given, found)]
    if faults:
        raise ValueError("\n".join(faults))
    size = _SIZE.fullmatch(found["size"])
    return Feature(
        **{
            **found,
            "name": name,
            "packages": packages,
            "size": (int(size[1]), int(size[2])) if size else _SIZES.get(found["input"], (0, 0)),
            "mean": tuple(_read_numbers(found["mean"])),
            "deviation": tuple(_read_numbers(found["deviation"])),
        }
    )


def _find_faults(name: str, given: Mapping[str, Any], found: Mapping[str, Any]) -> Iterator[str]:
    """Say what is wrong with a section's values, and which of them do not fit together."""
    if not NAME.fullmatch(name):
        yield "is not a valid name for a feature: it must be 1 to 40 of a-z, 0-9 and _, beginning with a letter"
    if name in OWN_NAMES:
        yield f"has a reserved name: {', '.join(OWN_NAMES)} are Valar's own stages"
    model, is_sound = found["model"], found["input"] == "waveform"
    if "input" not in given or not model:
        yield "needs input (crop, face_region or waveform) and model (docs/features.md)"
    if found["sha256"] and not _SHA256.fullmatch(found["sha256"]):
        yield f"sha256 = {found['sha256']} must be 64 of 0-9 and a-f, as sha256sum prints it"
    if model.endswith(".pt2") and not found["sha256"]:
        yield (f"model = {model} needs sha256, because loading such a file can run code; `sha256sum {model}` prints it")
    if found["precision"] != "float32" and not model.endswith(".pt2"):
        yield f"precision = {found['precision']} is for .pt2 files; an ONNX file and a callable have their own"
    others = [option for option in given if option in ((*_PICTURE, "margin") if is_sound else _SOUND)]
    if "margin" in given and found["input"] == "crop":
        others.append("margin")
    if others:
        yield f"{others[0]} has no meaning with input = {found['input']}"
    if is_sound and not found["hop_seconds"] > 0:
        yield "hop_seconds must be above 0: seconds from one row to the next"
    if found["size"] and not _SIZE.fullmatch(found["size"]):
        yield f"size = {found['size']} must be width x height in pixels, such as 112x112"
    for option in ("mean", "deviation"):
        numbers = _read_numbers(found[option])
        if len(numbers) not in (1, 3) or (option == "deviation" and not all(number > 0 for number in numbers)):
            above = " above 0" if option == "deviation" else ""
            yield f"{option} = {found[option]} must be one number or three{above}, with commas between them"


def _read_numbers(text: str) -> list[float]:
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        return []
    return numbers if all(abs(number) < 1e9 for number in numbers) else []


def find_windows(num_samples: int, window: int, hop: int) -> int:
    """Count a sound's windows: those that lie whole inside of it, and one if the sound is shorter than a window.

    All three arguments are in samples.

    >>> find_windows(16000, 8000, 4000), find_windows(100, 8000, 4000), find_windows(0, 8000, 4000)
    (3, 1, 0)
    """
    return 0 if num_samples == 0 else max(0, num_samples - window) // hop + 1


#: The sample rate, in Hz, of the sound in the store.
STORED_RATE = SAMPLE_RATE
