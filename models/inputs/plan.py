"""What a network looks at in an utterance. Without torch: the checks of settings need it before torch is imported."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from models.choices import CHANNEL_ORDERS, FACE_INPUTS, SOUNDS, ChannelOrder, FaceInput, Sound
from models.inputs.clips import Clips, count_rows
from models.paper import MAP_FRAMES, NUM_FREQUENCIES, SAMPLE_RATE

#: Limits for one utterance: 3072 s of sound, and more faces than VNet could learn from.
MOST_MAPS, MOST_FRAMES = 1024, 4096
#: Limit for one map: 3 s of a feature of sound with a row for every sample.
MOST_ROWS = 3 * SAMPLE_RATE
#: Fields that were added after checkpoints had been made without them, and the values that hold for those checkpoints.
_LATER = {"sound": "stft", "map_rows": MAP_FRAMES, "ordered_starts": False}


@dataclass(frozen=True)
class InputPlan:
    """What a network looks at in an utterance. The fields on starts, masks and mirroring matter in training only.

    Attributes:
        num_maps: STFT maps per utterance; 0 for a network without sound.
        num_frames: faces per utterance; 0 for a network without picture.
        faces: "embeddings" or "crops".
        channel_order: of crops.
        random_starts: draw the maps' starts at random; otherwise training has the starts of evaluation.
        mask_frequencies: widest band of frequencies set to zero in each map (see `mask_maps`); 0 for none.
        mask_frames: largest number of consecutive STFT frames set to zero in each map; 0 for none.
        mirror: mirror the crops of about half of the utterances, drawn at random.
        sound: content of the maps (see `normalise_maps`); "rows" for the rows of another feature than the transform.
        map_rows: number of STFT frames, or of rows of that feature, in 3 s.
        ordered_starts: divide the utterance into as many parts as maps, and draw one map from each part.
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
        """Refuse values that no network can have: a plan may be read from a file that anyone made.

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
        """Return the plan as plain data, without the later fields whose value is that of before."""
        silent = {name for name, usual in _LATER.items() if getattr(self, name) == usual}
        return {name: value for name, value in asdict(self).items() if name not in silent}

    def find_visible(self, clips: Clips) -> np.ndarray:
        """Tell which utterances have everything that the network looks at: (U,) bool."""
        visible = np.ones(len(clips), dtype=bool)
        if self.num_maps:
            visible &= count_rows(clips.stft) > 0
        if self.num_frames:
            visible &= count_rows(getattr(clips, self.faces)) > 0
        return visible
