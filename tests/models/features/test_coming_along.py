"""The built-in networks, if their packages are installed."""

import importlib.util

import numpy as np
import pytest

from models.features import voice_activity
from models.features.egemaps import open_egemaps
from models.features.network import ModelError, compute_sequence
from models.features.speech import SpeechListener, find_speech_network
from models.features.voice_activity import open_voice_activity

RATE = 16000


def skip_without_packages():
    pytest.importorskip("onnxruntime")
    if importlib.util.find_spec("silero_vad") is None:  # not imported: it changes torch's threads
        pytest.skip("needs silero-vad")


def make_voice(seconds, pitch=120):
    """Something like a vowel: pulses of a voice through three resonances, with the swell of syllables."""
    from scipy.signal import lfilter

    count = int(seconds * RATE)
    time = np.arange(count) / RATE
    phase = np.cumsum(pitch * (1 + 0.03 * np.sin(2 * np.pi * 3 * time))) / RATE
    sound = (np.diff(np.floor(phase), prepend=0) > 0).astype(float)
    for frequency, width in ((700, 90), (1200, 110), (2600, 170)):
        radius = np.exp(-np.pi * width / RATE)
        sound = lfilter([1 - radius], [1, -2 * radius * np.cos(2 * np.pi * frequency / RATE), radius**2], sound)
    sound = sound * (0.55 + 0.45 * np.sin(2 * np.pi * 4 * time))
    return (0.3 * sound / np.abs(sound).max()).astype(np.float32)


def test_voice_activity_tells_a_voice_from_silence():
    skip_without_packages()
    network = open_voice_activity("cpu")
    silence = np.random.default_rng(0).normal(0, 1e-4, 2 * RATE).astype(np.float32)
    rows = compute_sequence(network, np.concatenate([silence, make_voice(2), silence]))
    assert rows.shape == (-(-6 * RATE // voice_activity.FRAME), 1)
    third = len(rows) // 3
    assert rows[5 : third - 5].max() < 0.2
    assert rows[third : 2 * third].max() > voice_activity.THRESHOLD  # a vowel that never ends is no speech for long
    assert rows[2 * third + 15 :].max() < 0.2


def test_voice_activity_gives_the_same_however_the_sound_is_cut_into_calls(monkeypatch):
    skip_without_packages()
    sound = make_voice(3)
    whole = compute_sequence(open_voice_activity("cpu"), sound)
    monkeypatch.setattr(voice_activity, "_MOST_ROWS", 7)
    np.testing.assert_allclose(compute_sequence(open_voice_activity("cpu"), sound), whole, atol=1e-5)


def test_a_sound_that_is_heard_in_blocks_of_any_length_is_the_same():
    skip_without_packages()
    sound, listener = make_voice(2), SpeechListener()
    for start, end in ((0, 0), (0, 100), (100, 1300), (1300, 20001), (20001, len(sound))):
        listener.hear(sound[start:end])
    whole = compute_sequence(open_voice_activity("cpu"), sound)[:, 0]
    np.testing.assert_allclose(listener.finish(), whole, atol=1e-5)
    assert len(SpeechListener().finish()) == 0


def test_voice_activity_gives_what_the_streaming_network_of_the_package_gives():
    """The network that is meant for one piece at a time, which keeps its state in another form."""
    skip_without_packages()
    import onnxruntime

    sound = make_voice(1)
    path = voice_activity.find_model().with_name("silero_vad.onnx")
    session = onnxruntime.InferenceSession(path.read_bytes(), providers=["CPUExecutionProvider"])
    state, before, expected = np.zeros((2, 1, 128), np.float32), np.zeros(64, np.float32), []
    for start in range(0, len(sound), 512):
        piece = np.zeros(512, np.float32)
        piece[: len(sound[start : start + 512])] = sound[start : start + 512]
        inputs = {"input": np.concatenate([before, piece])[None], "state": state, "sr": np.array(RATE)}
        probability, state = session.run(None, inputs)
        expected.append(probability[0])
        before = piece[-64:]
    np.testing.assert_allclose(compute_sequence(open_voice_activity("cpu"), sound), expected, atol=1e-4)


def test_pieces_of_sound_begin_with_the_end_of_the_one_before():
    sound = np.arange(1, 601, dtype=np.float32)
    pieces = voice_activity._cut(sound)
    assert pieces.shape == (2, 576)
    np.testing.assert_array_equal(pieces[0], np.concatenate([np.zeros(64), sound[:512]]))
    np.testing.assert_array_equal(pieces[1], np.concatenate([sound[448:], np.zeros(424)]))
    assert voice_activity._cut(sound[:0]).shape == (0, 576)


@pytest.mark.parametrize(("open_network", "extra"), [(open_voice_activity, "vad"), (open_egemaps, "opensmile")])
def test_a_missing_package_is_named_with_what_installs_it(monkeypatch, open_network, extra):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ModelError, match=rf"pip install -e '.\[{extra}\]'"):
        open_network("cpu")


def test_what_runs_the_network_of_speech_has_to_be_there(monkeypatch):
    skip_without_packages()
    there = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "onnxruntime" else there(name))
    with pytest.raises(ModelError, match=r"needs the package onnxruntime: pip install -e '.\[vad\]'"):
        find_speech_network()


def test_egemaps_hears_the_pitch_every_10_ms():
    opensmile = pytest.importorskip("opensmile")
    rows = compute_sequence(open_egemaps("cpu"), make_voice(2, pitch=200))
    assert rows.shape[1] == 25
    assert abs(len(rows) - 200) <= 8
    assert np.isfinite(rows).all()
    smile = opensmile.Smile(opensmile.FeatureSet.eGeMAPSv02, opensmile.FeatureLevel.LowLevelDescriptors)
    semitones = rows[:, smile.feature_names.index("F0semitoneFrom27.5Hz_sma3nz")]
    heard = np.median(semitones[semitones > 0])
    assert heard == pytest.approx(12 * np.log2(200 / 27.5), abs=1)
