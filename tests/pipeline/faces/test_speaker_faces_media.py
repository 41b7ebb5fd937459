"""The same face in every kind of file that was made from one clip."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from models.mtcnn.boxes import compute_overlaps
from models.mtcnn.detector import Detections, Mtcnn
from models.mtcnn.networks import load_networks
from models.networks.precision import computing_exactly
from pipeline import media as clips
from pipeline.faces.speaker_faces import find_speaker

SECONDS = 0.4
PLAIN = "two_audio_tracks.mp4"  # H.264, 360 x 288, 25 frames/s
KINDS = [
    "anamorphic_sar2.mp4",
    "avi_mjpeg_pcm.avi",
    "avi_mpeg4_mp3.avi",
    "flv_h264_aac.flv",
    "fps5.mp4",
    "fps60.mp4",
    "gray.mp4",
    "interlaced_tff.mpg",
    "mkv_av1_opus.mkv",
    "mov_hevc10_aac.mov",
    "mp4_av1_aac.mp4",
    "mp4_h264_444_odd_dims.mp4",
    "mp4_h264_hi10.mp4",
    "phone_rot180_metadata.mp4",
    "phone_rot90_metadata.mp4",
    "ts_h264_aac.ts",
    "vfr_dropped.mp4",
    "webm_vp8_vorbis.webm",
    "webm_vp9_opus.webm",
    "wmv2_wmav2.wmv",
]


@pytest.fixture(scope="module")
def detector() -> Iterator[Mtcnn]:
    num_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield Mtcnn(load_networks(), smallest_face_px=60)
    torch.set_num_threads(num_threads)


def detect_at(path: Path, detector: Mtcnn, seconds: float) -> tuple[Detections, float]:
    """Detect in the frame shown nearest to a time; return its time too."""
    table = clips.scan_frames(path)
    wanted = int(np.abs(table.times_seconds - seconds).argmin())
    reader = clips.read_frames(path, table, threads=1)
    frame = next(frame for frame in reader if frame.index == wanted)
    reader.close()
    return detector.detect(frame.image), frame.time_seconds


@pytest.fixture(scope="module")
def plain(media: Path, detector: Mtcnn) -> Detections:
    found, _ = detect_at(media / "odd" / PLAIN, detector, SECONDS)
    assert len(found) == 1
    return found


@pytest.mark.parametrize("name", KINDS)
def test_the_same_face_upright_in_shape_and_in_time(name, media, detector, plain):
    found, seconds = detect_at(media / "odd" / name, detector, SECONDS)
    assert len(found) == 1
    assert abs(seconds - SECONDS) <= 0.1
    assert compute_overlaps(found.boxes.astype(float), plain.boxes.astype(float))[0, 0] > 0.85
    eyes = np.linalg.norm(plain.landmarks[0, 1] - plain.landmarks[0, 0])
    # A left eye that is still the left one: neither turned nor mirrored.
    assert np.linalg.norm(found.landmarks[0] - plain.landmarks[0], axis=1).max() < 0.2 * eyes


def test_a_face_in_4k_keeps_its_place(media, detector):
    found, _ = detect_at(media / "odd" / "uhd4k_2s.mp4", detector, SECONDS)
    assert len(found) == 1
    assert found.boxes[0, 2] - found.boxes[0, 0] == pytest.approx(910, rel=0.1)


@pytest.mark.gpu
def test_a_gpu_cuts_out_the_same_crops(media, tmp_path):
    path = media / "odd" / PLAIN
    found = {}
    for device in ("cpu", "cuda"):
        folder = tmp_path / device
        folder.mkdir()
        detector = Mtcnn(load_networks(), smallest_face_px=60, device=device)
        frames = clips.read_frames(path, clips.scan_frames(path), threads=1)
        with computing_exactly():
            found[device] = find_speaker(frames, detector, detect_every=25, scratch=folder)
    cpu, cuda = found["cpu"], found["cuda"]
    np.testing.assert_array_equal(cpu.frame_indices, cuda.frame_indices)
    assert len(cpu.frame_indices) > 0
    assert np.diagonal(compute_overlaps(cpu.boxes.astype(float), cuda.boxes.astype(float))).min() >= 0.99
    assert np.abs(cpu.crops.astype(int) - cuda.crops).mean() < 1
