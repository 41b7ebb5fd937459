"""What a network looks at in an utterance."""

import numpy as np
import pytest

from models.inputs.clips import Clips
from models.inputs.plan import MOST_FRAMES, MOST_MAPS, InputPlan


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"num_maps": -1}, rf"num_maps \(-1\) must be a whole number from 0 to {MOST_MAPS}"),
        ({"num_maps": True}, "num_maps"),
        ({"num_maps": 1.0}, "num_maps"),
        ({"num_frames": MOST_FRAMES + 1}, "num_frames"),
        ({"mask_frequencies": 258}, r"mask_frequencies \(258\) must be a whole number from 0 to 257"),
        ({"mask_frames": 301}, "mask_frames"),
        ({"faces": "eyes"}, r"faces \('eyes'\) must be one of "),
        ({"channel_order": ["bgr"]}, "channel_order"),
        ({"mirror": 1}, r"mirror \(1\) must be one of True, False"),
        ({"random_starts": None}, "random_starts"),
    ],
)
def test_a_plan_out_of_any_file_is_looked_at(values, said):
    with pytest.raises(ValueError, match=said):
        InputPlan(**{"num_maps": 1, "num_frames": 1, **values})


def test_what_came_later_is_no_part_of_a_plan_that_is_as_it_always_was():
    assert "sound" not in InputPlan(1, 1).describe()
    assert InputPlan(**InputPlan(4, 16, mirror=True).describe()) == InputPlan(4, 16, mirror=True)


def test_an_utterance_is_seen_when_all_that_is_looked_at_is_there():
    sound, face, crop = (
        np.zeros((5, 257, 2), np.float32),
        np.zeros((2, 512), np.float32),
        np.zeros((2, 112, 96, 3), np.uint8),
    )
    clips = Clips(
        ["v/a", "v/b", "v/c", "v/d"],
        None,
        [sound, None, sound, sound[:0]],
        [face, face, None, face],
        [None, crop, None, crop],
    )
    seen = {
        "sound": InputPlan(1, 0),
        "faces": InputPlan(0, 16),
        "both": InputPlan(4, 16),
        "crops": InputPlan(0, 16, faces="crops"),
    }
    assert {name: plan.find_visible(clips).tolist() for name, plan in seen.items()} == {
        "sound": [True, False, True, False],
        "faces": [True, True, False, True],
        "both": [True, False, False, False],
        "crops": [False, True, False, True],
    }
