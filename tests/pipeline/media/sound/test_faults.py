"""What is told of a clip's sound: clipping, numbers that are none, an offset, silence."""

import av
import numpy as np
import pytest

from pipeline.media.sound.faults import BLOCK_SAMPLES, SoundMeter


def make_frame(samples, layout="mono", format="s16p"):
    """A decoded frame of samples (channels, n)."""
    frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples), format=format, layout=layout)
    frame.sample_rate = 16000
    return frame


def meter_of(*frames, mixed=None):
    """Listen to frames, then to their mix; by default a tone about which nothing is odd."""
    meter = SoundMeter()
    for frame in frames:
        meter.take_frame(frame)
    tone = (8000 * np.sin(np.arange(16000) / 5)).astype(np.int16)
    meter.take_mixed(tone if mixed is None else np.asarray(mixed, np.int16))
    return meter


def quiet(count=1000, channels=1):
    return np.full((channels, count), 100, np.int16)


def test_nothing_is_said_of_sound_that_is_as_it_should_be():
    assert meter_of(make_frame(quiet())).notes() == []


@pytest.mark.parametrize(("num_clipped", "told"), [(1, []), (2, ["0.2 % of the samples are clipped"])])
def test_more_than_one_in_a_thousand_at_full_scale_is_clipping(num_clipped, told):
    samples = quiet()
    samples[0, :num_clipped] = [32767, -32768][:num_clipped]
    assert [note.partition(":")[0] for note in meter_of(make_frame(samples)).notes()] == told


@pytest.mark.parametrize(
    ("loud", "format"),
    [(np.uint8(255), "u8p"), (np.int32(2**31 - 1), "s32p"), (np.float32(1), "fltp"), (np.float64(-1.5), "dblp")],
)
def test_full_scale_is_that_of_the_format(loud, format):
    silence = 128 if format == "u8p" else 0
    samples = np.full((1, 1000), silence, loud.dtype)
    assert meter_of(make_frame(samples, format=format)).notes() == []
    samples[0, :20] = loud
    (note,) = meter_of(make_frame(samples, format=format)).notes()
    assert note == "2 % of the samples are clipped: it was recorded too loud"


def test_the_worst_channel_is_told():
    samples = quiet(channels=2)
    samples[1, :500] = 32767
    (note,) = meter_of(make_frame(samples, "stereo")).notes()
    assert note.startswith("50 % of the samples are clipped")


def test_what_is_no_number_becomes_silence_and_is_counted_once_for_all_channels():
    samples = np.full((2, 1000), 0.1, np.float32)
    samples[0, 3], samples[1, 3], samples[1, 7] = np.nan, np.inf, -np.inf
    meter = SoundMeter()
    values, is_mended = meter.take_frame(make_frame(samples, "stereo", "fltp"))
    assert is_mended
    assert np.isfinite(values).all()
    assert values[0, 3] == values[1, 3] == values[1, 7] == 0
    assert values[0, 7] == np.float32(0.1)
    assert meter.notes() == ["2 samples are no numbers (NaN or infinite): taken as silence"]
    assert meter.take_frame(make_frame(np.zeros((2, 10), np.float32), "stereo", "fltp"))[1] is False


def test_digital_silence_is_told_and_one_sample_ends_it():
    told = "the sound is digital silence: every sample is 0"
    assert meter_of(make_frame(quiet()), mixed=np.zeros(100)).notes() == [told]
    assert meter_of(make_frame(quiet()), mixed=[0] * 99 + [1]).notes() == []
    assert meter_of(make_frame(quiet()), mixed=[]).notes() == [], "of no sound nothing is said"


@pytest.mark.parametrize(("offset", "told"), [(0.019, []), (-0.05, ["-5 %"])])
def test_a_constant_offset_from_two_percent_on_is_told(offset, told):
    tone = 8000 * np.sin(2 * np.pi * np.arange(16000) / 40) + offset * 32768
    notes = meter_of(make_frame(quiet()), mixed=tone.round()).notes()
    assert notes == [f"the sound has a constant offset (DC) of {share} of full scale" for share in told]


def test_powers_are_mean_squares_of_full_scale_by_channel():
    num = BLOCK_SAMPLES + 10  # looked at in more than one go
    samples = np.stack([np.full(num, 16384), np.full(num, 8192)]).astype(np.int16)
    meter = meter_of(*(make_frame(samples[:, :n], "stereo") for n in (num, 10)), mixed=[16384] * 7)
    assert meter.channel_powers() == (("FL", "FR"), (pytest.approx(0.25), pytest.approx(0.0625)))
    assert meter.mixed_power == pytest.approx(0.25)
    meter.take_frame(make_frame(quiet()))
    assert meter.channel_powers() == ((), ()), "the channels change midway"
