"""Frames read from kept pixels: those that are there, and no more of them in memory than are looked at."""

import tracemalloc

import cv2
import numpy as np
import pytest

from pipeline import media
from pipeline.dataset.overrides import Override
from pipeline.settings.config import Settings
from pipeline.stages import frames
from pipeline.stages.frames import read_kept_frames
from store.shard.reader import Shard
from store.shard.writer import ShardWriter
from tests.pipeline.media.test_shapes import join


def write_pixels(path, images):
    with (
        ShardWriter(path, stage="pixels", shard="s", fingerprint="f", provenance={}) as writer,
        writer.utterance("v/a") as rows,
    ):
        rows.append_bytes(images)
    return Shard(path)


def make_table(num_frames):
    return media.FrameTable(np.arange(num_frames) / 25, 64, 48, 0, 1.0, num_frames, "h264", 25.0, "")


def encode(image):
    return cv2.imencode(".jpg", image)[1].tobytes()


def test_frames_that_did_not_decode_are_left_out(tmp_path):
    grey = [np.full((48, 64, 3), level, np.uint8) for level in (50, 100, 150)]
    pixels = write_pixels(tmp_path / "s.h5", [encode(grey[0]), b"", encode(grey[2])])
    found = list(read_kept_frames(pixels, "v/a", make_table(3)))
    assert [(frame.index, frame.time_seconds, frame.image.shape) for frame in found] == [
        (0, 0.0, (48, 64, 3)),
        (2, pytest.approx(0.08), (48, 64, 3)),
    ]
    assert [round(float(frame.image.mean())) for frame in found] == [50, 150]


def test_an_hour_of_kept_frames_takes_no_more_memory_than_one(tmp_path, monkeypatch):
    noise = encode(np.random.default_rng(0).integers(0, 255, (200, 200, 3), np.uint8))
    pixels = write_pixels(tmp_path / "s.h5", [noise] * 300)
    released = []
    monkeypatch.setattr(frames, "_BYTES_AT_ONCE", 100 * len(noise))
    monkeypatch.setattr(frames, "release_pages", released.append)
    tracemalloc.start()
    num_frames = sum(1 for _ in read_kept_frames(pixels, "v/a", make_table(300)))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert num_frames == 300
    assert peak < 20 * len(noise) + 4 * 200 * 200 * 3
    assert len(released) == 3


def test_a_damaged_image_names_its_shard(tmp_path):
    pixels = write_pixels(tmp_path / "s.h5", [b"no picture"])
    with pytest.raises(ValueError, match="10 bytes of a kept image are no JPEG; its shard is damaged"):
        list(read_kept_frames(pixels, "v/a", make_table(1)))


def test_kept_pictures_that_turn_keep_their_shape(tmp_path):
    clip = join(tmp_path, [(128, 96), (96, 128)])
    table = media.scan_frames(clip)
    path = tmp_path / "s.h5"
    with (
        ShardWriter(path, stage="pixels", shard="s", fingerprint="f", provenance={}) as writer,
        writer.utterance("v/a") as rows,
    ):
        frames._keep_pixels(clip, table, rows, Override(), Settings.read())
    kept = list(read_kept_frames(Shard(path), "v/a", table))
    shown = list(media.read_frames(clip, table))
    assert [frame.image.shape for frame in kept] == [frame.image.shape for frame in shown]
    assert [frame.image.shape[:2] for frame in kept] == [(96, 128)] * 10 + [(128, 96)] * 10
