import numpy as np
import pytest
from scipy.signal import find_peaks, periodogram

from pipeline.demo.acting import direct_delivery
from pipeline.demo.voice import SAMPLE_RATE, Delivery, Voice, synthesise_speech

VOICE = Voice(pitch_hertz=120, formant_scale=1.0, breathiness=0.03)


def deliver(**changes: float) -> Delivery:
    plain = {
        "duration_seconds": 2.5,
        "pitch_factor": 1.0,
        "syllables_per_second": 4.0,
        "effort": 0.5,
        "smile": 0.0,
        "peak": 0.5,
    }
    return Delivery(**{**plain, **changes})


def median_pitch(samples: np.ndarray) -> float:
    """Autocorrelation of 50 ms windows where there is sound; lags of 60 to 400 Hz."""
    pitches = []
    for start in range(0, len(samples) - 1600, 800):
        block = samples[start : start + 1600] - samples[start : start + 1600].mean()
        if block.std() < 0.5 * samples.std():
            continue
        correlation = np.correlate(block, block, "full")[1599:]
        lags = np.arange(SAMPLE_RATE // 400, SAMPLE_RATE // 60)
        pitches.append(SAMPLE_RATE / lags[np.argmax(correlation[lags])])
    assert len(pitches) > 5
    return float(np.median(pitches))


@pytest.mark.parametrize("factor", [0.8, 1.0, 1.5, 2.2])
def test_pitch_is_the_one_asked_for(factor):
    speech = synthesise_speech(VOICE, deliver(pitch_factor=factor), np.random.default_rng(0))
    assert median_pitch(speech.samples) == pytest.approx(120 * factor, rel=0.08)


@pytest.mark.parametrize("rate", [2.5, 4.0, 6.5])
def test_mouth_opens_once_a_syllable(rate):
    speech = synthesise_speech(VOICE, deliver(duration_seconds=6, syllables_per_second=rate), np.random.default_rng(1))
    assert len(find_peaks(speech.opening)[0]) == pytest.approx(6 * rate, rel=0.15)


def test_a_smile_moves_the_energy_up():
    def centre(smile: float) -> float:
        speech = synthesise_speech(VOICE, deliver(smile=smile), np.random.default_rng(2))
        hertz, power = periodogram(speech.samples, SAMPLE_RATE)
        upper = (hertz > 800) & (hertz < 4500)
        return float((hertz * power)[upper].sum() / power[upper].sum())

    assert centre(-0.14) < centre(0.0) < centre(0.14)


@pytest.mark.parametrize("peak", [0.05, 0.5, 0.9])
def test_length_peak_and_range(peak):
    speech = synthesise_speech(VOICE, deliver(duration_seconds=2.1, peak=peak), np.random.default_rng(3))
    assert speech.samples.shape == speech.opening.shape == (33600,)
    assert speech.samples.dtype == speech.opening.dtype == np.float32
    assert np.abs(speech.samples).max() == pytest.approx(peak, rel=1e-6)
    assert speech.opening.min() >= 0
    assert speech.opening.max() <= 1


def test_loudness_changes_nothing_but_the_scale():
    quiet = synthesise_speech(VOICE, deliver(peak=0.1), np.random.default_rng(4)).samples
    loud = synthesise_speech(VOICE, deliver(peak=0.8), np.random.default_rng(4)).samples
    np.testing.assert_allclose(8 * quiet, loud, rtol=1e-5, atol=1e-7)


def test_arousal_is_heard_in_pitch_and_rate_and_not_in_loudness():
    rng = np.random.default_rng(5)
    arousal, valence = rng.uniform(0, 1, 400), rng.uniform(-1, 1, 400)
    directed = [direct_delivery(a, v, rng) for a, v in zip(arousal, valence, strict=True)]

    def correlation(field: str, label: np.ndarray) -> float:
        return float(np.corrcoef([getattr(d, field) for d in directed], label)[0, 1])

    for field in ("pitch_factor", "syllables_per_second", "effort"):
        assert correlation(field, arousal) > 0.9
        assert abs(correlation(field, valence)) < 0.15
    for field in ("peak", "duration_seconds"):
        assert abs(correlation(field, arousal)) < 0.15
        assert abs(correlation(field, valence)) < 0.15
    assert 0.7 < correlation("smile", valence) < 0.97
    assert all(2 <= d.duration_seconds <= 3 for d in directed)
