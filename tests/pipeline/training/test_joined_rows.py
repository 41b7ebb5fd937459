"""Rows of several features side by side, as a network is given them."""

import numpy as np
import pytest
import torch

from models.inputs.clips import Clips, measure_embeddings
from models.networks.joint import Joint
from models.networks.vnet import build_vnet
from models.training.settings import VNetSettings
from pipeline.training.clips import JoinedRows, join_rows

ONE, TWO = np.arange(6, dtype=np.float32).reshape(3, 2), -np.arange(9, dtype=np.float32).reshape(3, 3)


def test_rows_stand_side_by_side_and_one_alone_stays_what_it_is():
    joined = JoinedRows([ONE, TWO])
    assert (len(joined), joined.shape, joined.dtype) == (3, (3, 5), np.float32)
    whole = np.concatenate([ONE, TWO], axis=1)
    np.testing.assert_array_equal(joined[np.array([2, 0, 0])], whole[[2, 0, 0]])
    np.testing.assert_array_equal(joined[1:], whole[1:])
    np.testing.assert_array_equal(np.asarray(joined, np.float64), whole)
    assert join_rows([[ONE, None]]) == [ONE, None]
    found = join_rows([[ONE, ONE, None], [TWO, None, TWO]])
    assert [part is not None for part in found] == [True, False, False]
    with pytest.raises(ValueError, match="features of one face have 2 and 3 rows"):
        JoinedRows([ONE, TWO[:2]])


def test_clips_of_joined_rows_have_their_width():
    found = join_rows([[ONE, None], [TWO, None]])
    clips = Clips(["v/a", "v/b"], None, [None, None], found, [None, None])
    assert clips.face_size == 5
    mean, scale = measure_embeddings(found)
    np.testing.assert_allclose(mean, np.concatenate([ONE, TWO], axis=1).mean(axis=0))
    assert scale > 0
    with pytest.raises(ValueError, match=r"embeddings of v/b are \(3, 2\) float32: they must be \(N, 5\)"):
        Clips(["v/a", "v/b"], None, [None, None], [found[0], ONE], [None, None])


def test_networks_take_faces_of_any_width():
    vnet = build_vnet(None, face_size=5, seed=0)
    assert vnet(torch.zeros(2, 4, 5)).shape == (2, 2)
    vnet.feature.set_standardisation(torch.ones(5), 2.0)
    joint = Joint(channel_scale=1 / 64, face_size=5)
    joint.visual.load_state_dict(vnet.feature.state_dict())


@pytest.mark.parametrize(
    ("values", "fault"),
    [
        ({"features": "mini", "backbone": "finetune"}, "needs backbone = frozen"),
        ({"features": " , "}, "must be names with commas"),
        ({"features": "mini, mini"}, "each once"),
    ],
)
def test_what_does_not_go_together_is_told(values, fault):
    with pytest.raises(ValueError, match=fault):
        VNetSettings(**values)
