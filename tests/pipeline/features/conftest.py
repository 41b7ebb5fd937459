"""A workplace whose settings declare features of each kind, with the networks' files in it."""

import pytest
import torch

from tests.made_networks import make_face_onnx, make_sound_onnx, write_exported

DECLARED = """
[features.mini]
input = crop
model = mini.onnx
batch_size = 8
[features.region]
input = face_region
model = region.pt2
sha256 = {sha256}
size = 48x64
colours = bgr
mean = 0
deviation = 255
[features.loud]
input = waveform
model = tests.made_networks:rows_of_sound
window_seconds = 0.5
hop_seconds = 0.25
[features.pieces]
input = waveform
model = pieces.onnx
sample_rate = 8000
window_seconds = 0.25
hop_seconds = 0.1
"""
STAGES = {"face_mini": 6, "face_region": 5, "sound_loud": 2, "sound_pieces": 4}


@pytest.fixture
def declare():
    """Lay the networks' files into a workplace and declare the features."""
    pytest.importorskip("onnxruntime")

    def declare_in(place):
        (place.folder / "mini.onnx").write_bytes(make_face_onnx(6))
        (place.folder / "pieces.onnx").write_bytes(make_sound_onnx(2000, 4))
        place.configure(
            DECLARED.format(sha256=write_exported(place.folder / "region.pt2", example=torch.zeros(2, 3, 64, 48)))
        )
        return place

    return declare_in
