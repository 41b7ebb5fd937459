import os

import pytest
import torch

from models.networks.anet import AcousticFeature, build_anet, load_vgg16
from models.sphereface.network import build_sphereface
from models.weights.table import WeightsError
from models.weights.tensors import load_state_dict


def test_a_state_dict_holds_tensors_only(tmp_path):
    path = tmp_path / "x.pth"
    torch.save({"a.weight": torch.ones(2)}, path)
    assert load_state_dict(path)["a.weight"].tolist() == [1, 1]
    for content, message in (
        ([torch.ones(2)], r"x\.pth holds list, not tensors by name"),
        ({3: torch.ones(2)}, r"x\.pth holds dict, not tensors by name"),
        ({"a": torch.ones(2), "b": 3}, r"x\.pth holds int among its tensors"),
        ({"run": os.system}, r"x\.pth cannot be read as a file of weights: .*; fetch it again"),
    ):
        torch.save(content, path)
        with pytest.raises(WeightsError, match=message):
            load_state_dict(path)


def test_the_format_of_published_weights_is_read(tmp_path):
    """VGG-16's and SphereFace's files are from 2017, before torch wrote archives."""
    torch.save({"a.weight": torch.ones(2)}, tmp_path / "x.pth", _use_new_zipfile_serialization=False)
    assert load_state_dict(tmp_path / "x.pth")["a.weight"].tolist() == [1, 1]


@pytest.mark.parametrize("content", [b"", b"<html>not found</html>", b"PK\x03\x04", b"\x80\x02}q\x00.", bytes(1000)])
@pytest.mark.parametrize("build", [build_anet, build_sphereface])
def test_rubbish_is_one_sentence_that_names_the_file(tmp_path, content, build):
    (tmp_path / "x.pth").write_bytes(content)
    with pytest.raises(
        WeightsError, match=r"^[^\n]*x\.pth cannot be read as a file of weights: [^\n]+; fetch it again$"
    ):
        build(tmp_path / "x.pth", seed=0)


@pytest.mark.parametrize("first", [torch.zeros(()), torch.zeros(64, 3, 3, 3, dtype=torch.int64), torch.zeros(2, 3)])
def test_tensors_of_another_network_are_refused(first):
    with pytest.raises(ValueError, match=r"x\.pth does not fit: missing .* and 15 more, unknown \[\]"):
        load_vgg16(AcousticFeature(1 / 64), {"features.0.weight": first}, source="x.pth")
