import numpy as np
import pytest
import scipy.signal

from pipeline.media.sound import stft as audio
from pipeline.media.sound.stft import compute_stft, count_frames, iter_stft


def direct_stft(samples):
    """DESIGN's formula, term by term, by a matrix of exponentials in float64."""
    n, f = np.arange(400), np.arange(257)
    window = 0.54 - 0.46 * np.cos(2 * np.pi * n / 400)
    kernel = np.exp(-2j * np.pi * np.outer(n, f) / 512)  # (400, 257)
    num_frames = len(samples) // 160
    frames = np.zeros((num_frames, 400))
    for t in range(num_frames):
        for k in range(400):
            at = 160 * t - 200 + k
            if 0 <= at < len(samples):
                frames[t, k] = samples[at]
    values = (frames * window) @ kernel
    return np.stack([values.real, values.imag], axis=-1)


@pytest.mark.parametrize("num_samples", [160, 161, 319, 320, 399, 400, 401, 1000, 1599, 3333])
def test_equals_the_formula_computed_term_by_term(num_samples):
    samples = np.random.default_rng(num_samples).uniform(-1, 1, num_samples)
    stft = compute_stft(samples)
    assert stft.dtype == np.float32
    assert stft.shape == (num_samples // 160, 257, 2)
    np.testing.assert_allclose(stft, direct_stft(samples), atol=2e-5)


def test_equals_scipys_short_time_fft_away_from_phase_convention():
    samples = np.random.default_rng(1).normal(0, 0.2, 16000)
    theirs = scipy.signal.ShortTimeFFT(
        scipy.signal.windows.hamming(400, sym=False), hop=160, fs=16000, mfft=512, phase_shift=None
    ).stft(samples, p0=0, p1=100)  # (257, 100); frame p is centred on sample 160 p
    ours = compute_stft(samples)
    np.testing.assert_allclose(ours[..., 0] + 1j * ours[..., 1], theirs.T, atol=2e-5)


@pytest.mark.parametrize(
    ("num_samples", "num_frames"), [(0, 0), (1, 0), (159, 0), (160, 1), (48000, 300), (48159, 300)]
)
def test_number_of_frames(num_samples, num_frames):
    assert count_frames(num_samples) == num_frames
    assert compute_stft(np.zeros(num_samples, np.float32)).shape == (num_frames, 257, 2)


def test_sine_on_a_bin_peaks_there_with_half_the_windows_sum():
    bin_index = 64  # 2 kHz
    samples = np.cos(2 * np.pi * bin_index / 512 * np.arange(16000))
    magnitude = np.linalg.norm(compute_stft(samples)[10:-10], axis=-1)
    assert (magnitude.argmax(axis=1) == bin_index).all()
    np.testing.assert_allclose(magnitude[:, bin_index], 0.54 * 400 / 2, rtol=1e-3)  # the Hamming window's mean is 0.54


def test_silence_gives_zeros():
    assert not compute_stft(np.zeros(16000, np.int16)).any()


def test_int16_is_scaled_to_one():
    values = np.random.default_rng(2).integers(-32768, 32768, 2000).astype(np.int16)
    np.testing.assert_array_equal(compute_stft(values), compute_stft(values / 32768.0))


@pytest.mark.parametrize("sizes", [[1] * 700, [100, 1, 59, 40, 500, 3], [0, 400, 0, 1000], [5000], [199, 1, 200, 160]])
def test_pieces_give_the_same_as_the_whole(sizes):
    samples = np.random.default_rng(3).uniform(-1, 1, sum(sizes))
    pieces = np.split(samples, np.cumsum(sizes)[:-1])
    blocks = [np.zeros((0, 257, 2), np.float32), *iter_stft(pieces)]
    np.testing.assert_array_equal(np.concatenate(blocks), compute_stft(samples))


def test_blocks_are_bounded_and_join_without_a_seam(monkeypatch):
    samples = np.random.default_rng(4).uniform(-1, 1, 16000)
    whole = compute_stft(samples)
    monkeypatch.setattr(audio, "BLOCK_FRAMES", 7)
    blocks = list(iter_stft([samples]))
    assert max(len(block) for block in blocks) == 7
    np.testing.assert_array_equal(np.concatenate(blocks), whole)


def test_threads_do_not_change_the_result():
    samples = np.random.default_rng(5).uniform(-1, 1, 40000)
    np.testing.assert_array_equal(compute_stft(samples, workers=2), compute_stft(samples))


@pytest.mark.parametrize(
    ("samples", "match"),
    [
        (np.zeros((2, 800)), r"shape \(2, 800\)"),
        (np.zeros(800, np.int32), "dtype int32"),
        (np.array([0.0] * 399 + [np.nan]), "1 of 400 samples are not finite"),
    ],
)
def test_refuses_what_is_no_waveform(samples, match):
    with pytest.raises(ValueError, match=match):
        list(iter_stft([samples]))
    with pytest.raises(ValueError, match=match):
        compute_stft(samples)
