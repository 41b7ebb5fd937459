"""What a network looks at in an utterance; without torch, since settings are checked against it."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from models.choices import CHANNEL_ORDERS, FACE_INPUTS, SOUNDS, ChannelOrder, FaceInput, Sound
from models.inputs.clips import Clips, count_rows
from models.paper import MAP_FRAMES, NUM_FREQUENCIES, SAMPLE_RATE

#: Of an utterance: 3072 s of sound, and more faces than VNet could learn from.
MOST_MAPS, MOST_FRAMES = 1024, 4096
#: Of a map: 3 s of rows of a feature of sound, at a row each sample.
MOST_ROWS = 3 * SAMPLE_RATE
#: What came after checkpoints had been made without it, and what it then was.
_LATER = {"sound": "stft", "map_rows": MAP_FRAMES, "ordered_starts": False}


@dataclass(frozen=True)
class InputPlan:
    """What a network looks at in an utterance. From `random_starts` to `mirror` it matters in training only.

    Attributes:
        num_maps: STFT maps per utterance; 0 for a network without sound.
        num_frames: faces per utterance; 0 for a network without picture.
        faces: which of the two the faces are.
        channel_order: of crops.
        random_starts: draw the maps' starts; otherwise they are evaluation's.
        mask_frequencies: widest band of frequencies set to zero in each map (see `mask_maps`); 0 for none.
        mask_frames: most STFT frames in a row set to zero in each map; 0 for none.
        mirror: mirror the crops of every second utterance, drawn at random.
        sound: what the maps hold (see `normalise_maps`); "rows" for those of another feature than the transform.
        map_rows: how many STFT frames, or rows of that feature, 3 s are.
        ordered_starts: in training, draw each map from a part of its own of the utterance.
    """

    num_maps: int
    num_frames: int
    faces: FaceInput = "embeddings"
    channel_order: ChannelOrder = "bgr"
    random_starts: bool = True
    mask_frequencies: int = 0
    mask_frames: int = 0
    mirror: bool = False
    sound: Sound = "stft"
    map_rows: int = MAP_FRAMES
    ordered_starts: bool = False

    def __post_init__(self) -> None:
        """Refuse what no network looks at; a plan may come out of any file.

        Raises:
            ValueError: names the value and what it may be.
        """
        for name, most in (
            ("num_maps", MOST_MAPS),
            ("num_frames", MOST_FRAMES),
            ("mask_frequencies", NUM_FREQUENCIES),
            ("mask_frames", MAP_FRAMES),
        ):
            value = getattr(self, name)
            if type(value) is not int or not 0 <= value <= most:
                raise ValueError(f"{name} ({value!r}) must be a whole number from 0 to {most}")
        if type(self.map_rows) is not int or not 1 <= self.map_rows <= MOST_ROWS:
            raise ValueError(f"map_rows ({self.map_rows!r}) must be a whole number from 1 to {MOST_ROWS}")
        for name, choices in (
            ("faces", FACE_INPUTS),
            ("channel_order", CHANNEL_ORDERS),
            ("random_starts", (True, False)),
            ("mirror", (True, False)),
            ("ordered_starts", (True, False)),
            ("sound", SOUNDS),
        ):
            value = getattr(self, name)
            if type(value) is not type(choices[0]) or value not in choices:
                raise ValueError(f"{name} ({value!r}) must be one of {', '.join(map(str, choices))}")

    def describe(self) -> dict[str, Any]:
        """Give it as plain data; what came later is left out where it is as it always was."""
        silent = {name for name, usual in _LATER.items() if getattr(self, name) == usual}
        return {name: value for name, value in asdict(self).items() if name not in silent}

    def find_visible(self, clips: Clips) -> np.ndarray:
        """Tell which utterances have all that the network looks at: (U,) bool."""
        visible = np.ones(len(clips), dtype=bool)
        if self.num_maps:
            visible &= count_rows(clips.stft) > 0
        if self.num_frames:
            visible &= count_rows(getattr(clips, self.faces)) > 0
        return visible
