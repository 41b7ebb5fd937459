"""What a declared feature's network is given: pictures in its form, regions of frames, pieces of sound."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest

from pipeline import media
from pipeline.settings.features import read_feature
from pipeline.stages.feature_inputs import (
    ClipInputs,
    _cut_sound,
    _take_regions,
    cut_region,
    make_inputs,
    prepare_pictures,
    resample,
)

PICTURE = np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3)


def declare(**options):
    return read_feature("features.a", {"input": "crop", "model": "a.onnx", **options})


def test_pictures_are_brought_into_the_networks_form():
    plain = prepare_pictures(PICTURE[None], declare(size="6x4", colours="bgr", layout="nhwc", mean="0", deviation="1"))
    np.testing.assert_array_equal(plain[0], PICTURE)
    found = prepare_pictures(PICTURE[None], declare(size="6x4", mean="1,2,3", deviation="2,4,8"))
    assert (found.shape, found.dtype, found.flags.c_contiguous) == ((1, 3, 4, 6), np.float32, True)
    for channel, (mean, deviation) in enumerate(((1, 2), (2, 4), (3, 8))):  # red first
        np.testing.assert_allclose(found[0, channel], (PICTURE[..., 2 - channel] - np.float32(mean)) / deviation)
    flat = np.full((2, 112, 96, 3), 100, np.uint8)
    assert (prepare_pictures(flat, declare(size="10x20", mean="0", deviation="1")) == 100).all()
    assert prepare_pictures(flat, declare(size="10x20")).shape == (2, 3, 20, 10)


def test_a_region_reaches_beyond_the_face_in_the_wanted_proportions():
    image = np.zeros((100, 200, 3), np.uint8)
    image[40:60, 90:110] = 255
    region = cut_region(image, np.array([90, 40, 110, 60]), (64, 64), 0.5)
    assert region.shape == (40, 40, 3)
    assert (region[10:30, 10:30] == 255).all()
    assert region.sum() == 255 * 3 * 20 * 20
    assert cut_region(image, np.array([90, 40, 110, 60]), (48, 96), 0).shape == (40, 20, 3)


@pytest.mark.parametrize("box", [[-30, -30, 10, 10], [180, 80, 260, 160], [-500, 10, -400, 90], [20, 900, 40, 990]])
def test_beyond_the_frame_its_edge_is_repeated(box):
    image = np.full((100, 200, 3), 7, np.uint8)
    region = cut_region(image, np.array(box, np.float32), (32, 32), 0.2)
    assert region.shape[0] == region.shape[1] > 1
    assert (region == 7).all()


def take_regions(frames, indices):
    rows = {
        "frame_index": np.array(indices),
        "box": np.tile([2.0, 1, 5, 4], (len(indices), 1)),
        "time": np.array(indices) / 25,
    }
    job = SimpleNamespace(rows=lambda stage: SimpleNamespace(rows=lambda name, dataset: rows[dataset]))
    inputs = ClipInputs(iter(()))
    feature = declare(input="face_region", size="8x8", batch_size="2")
    found = list(_take_regions(job, feature, SimpleNamespace(name="v/a"), frames, inputs))
    return found, inputs


def make_frames(indices, end=None):
    for index in indices:
        yield media.Frame(index, index / 25, np.full((10, 10, 3), index, np.uint8))
    if end:
        raise end


def test_regions_are_those_of_the_frames_with_a_face():
    found, inputs = take_regions(make_frames(range(10)), [1, 4, 5])
    assert [len(batch) for _, batch in found] == [2, 1]
    np.testing.assert_array_equal(np.concatenate([times for times, _ in found]), np.array([1, 4, 5]) / 25)
    values = np.concatenate([batch[:, 0, 0, 0] for _, batch in found])
    np.testing.assert_allclose(values, (np.array([1, 4, 5]) - 127.5) / 128)
    assert inputs.status == "ok"


@pytest.mark.parametrize(
    ("frames", "status", "message"),
    [
        (make_frames([0, 1, 2, 3, 5, 6]), "decode_error", "frame 4, in which a face was found, does not decode"),
        (make_frames([0, 1], media.MediaError("decode_error", "damaged")), "decode_error", "damaged"),
        (None, "missing_file", "the file was gone"),
    ],
)  # fmt: skip
def test_what_does_not_come_is_told_and_no_row_is_given_to_another_frame(frames, status, message):
    found, inputs = take_regions(frames, [1, 4, 5])
    assert sum(len(batch) for _, batch in found) == (0 if frames is None else 1)
    assert (inputs.status, message in inputs.message) == (status, True)


def test_sound_is_cut_into_windows_at_the_networks_rate():
    declared = declare(input="waveform", window_seconds="0.5", hop_seconds="0.2", batch_size="2")
    feature = dataclasses.replace(declared, sample_rate=100)
    sound = np.arange(130, dtype=np.float32)
    batches = list(_cut_sound(feature, sound))
    assert [len(pieces) for _, pieces in batches] == [2, 2, 1]
    np.testing.assert_allclose(np.concatenate([times for times, _ in batches]), [0, 0.2, 0.4, 0.6, 0.8])
    np.testing.assert_array_equal(np.concatenate([p for _, p in batches])[:, 0], [0, 20, 40, 60, 80])
    ((times, pieces),) = _cut_sound(feature, sound[:30])
    np.testing.assert_array_equal(pieces[0], np.concatenate([sound[:30], np.zeros(20)]))
    assert times.tolist() == [0]
    assert list(_cut_sound(feature, sound[:0])) == []
    whole = declare(input="waveform", hop_seconds="0.1")
    ((times, pieces),) = _cut_sound(whole, sound)
    assert times is None
    assert pieces is sound


def test_a_tone_keeps_its_pitch_at_another_rate():
    tone = np.sin(2 * np.pi * 440 * np.arange(16000) / 16000).astype(np.float32)
    for rate in (8000, 22050, 48000):
        found = resample(tone, rate)
        assert (len(found), found.dtype) == (rate, np.float32)
        assert np.abs(np.fft.rfft(found)).argmax() == 440
    assert resample(tone, 16000) is tone


def test_made_inputs_are_always_the_same():
    whole = declare(input="waveform", hop_seconds="1")
    pieces = declare(input="waveform", window_seconds="1", hop_seconds="1")
    for feature in (declare(), whole, pieces):
        np.testing.assert_array_equal(make_inputs(feature), make_inputs(feature))
