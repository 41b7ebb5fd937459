"""Sound that is odd: its samples are right, or its message says what is wrong. docs/media.md lists these kinds."""

import re
import struct
import subprocess
import sys
import threading
import wave
from fractions import Fraction

import av
import numpy as np
import pytest
import soundfile

from pipeline.media import MediaError, Sound, extract_wav, ffmpeg_binary
from pipeline.media.sound import wav_files
from pipeline.media.sound.decoding import MOST_TIME_LIMIT_SECONDS, SoundDecoder, time_limit
from pipeline.media.sound.resampling import MonoResampler

RATE = 16000


def run_ffmpeg(folder, *words):
    subprocess.run([ffmpeg_binary(), "-v", "error", "-y", *words], cwd=folder, check=True)


def read(path):
    with wave.open(str(path)) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, RATE)
        return np.frombuffer(file.readframes(file.getnframes()), "<i2") / 32768


def extract(path, **options):
    """Extract a clip's sound beside it; return its samples and its message."""
    target = path.with_name("out.wav")
    sound = extract_wav(path, target, **options)
    samples = read(target)
    assert sound.num_samples == len(samples)
    return samples, sound.message


def tones(seconds, *frequencies, rate=RATE, level=0.5):
    """One channel for each frequency, (n, channels)."""
    times = np.arange(round(seconds * rate)) / rate
    return np.stack([level * np.sin(2 * np.pi * frequency * times) for frequency in frequencies], axis=1)


def write(path, samples, rate=RATE, subtype="PCM_16"):
    soundfile.write(path, samples, rate, subtype=subtype)
    return path


# Formats that change midway


def joined(folder, kind):
    """Two parts of 2 s, a tone of 500 Hz each, of different formats, in one file."""
    first = {"ac3": ["-ac", "2"], "aac": ["-ac", "1", "-ar", "44100"], "mp3": ["-ac", "1"]}[kind]
    second = {"ac3": ["-ac", "6"], "aac": ["-ac", "2", "-ar", "48000"], "mp3": ["-ac", "2"]}[kind]
    codec = {"ac3": ["-c:a", "ac3", "-f", "mpegts"], "aac": ["-c:a", "aac", "-f", "adts"]}.get(
        kind, ["-c:a", "libmp3lame", "-write_xing", "0", "-id3v2_version", "0", "-f", "mp3"]
    )
    content = b""
    for name, options, offset in (("a", first, 0), ("b", second, 2)):
        place = ["-output_ts_offset", str(offset)] if kind == "ac3" else []
        run_ffmpeg(folder, "-f", "lavfi", "-i", "sine=500:d=2:r=48000", *options, *codec, *place, name)
        content += (folder / name).read_bytes()
    (folder / "joined").write_bytes(content)
    return folder / "joined"


@pytest.mark.parametrize("kind", ["ac3", "aac", "mp3"])
def test_a_format_that_changes_midway_is_padded_once(tmp_path, kind):
    samples, message = extract(joined(tmp_path, kind))
    # Encoders add up to two packets to each part; padding again would make it 6 s.
    assert len(samples) / RATE == pytest.approx(4.0, abs=0.2)
    silent = np.abs(samples[: len(samples) // 100 * 100]).reshape(-1, 100).max(axis=1) < 0.005
    assert silent.sum() * 100 / RATE < 0.2  # but for the encoders' own beginnings
    assert message == "its format changes midway"


def test_a_change_within_a_joined_recording_is_padded_once(tmp_path):
    content = b""
    for name, channels, offset in (("a.ts", 2, 0), ("b.ts", 6, 7200)):
        sine = ["-f", "lavfi", "-i", "sine=500:d=2:r=48000", "-c:a", "ac3", "-ac", str(channels)]
        run_ffmpeg(tmp_path, *sine, "-output_ts_offset", str(offset), name)
        content += (tmp_path / name).read_bytes()
    (tmp_path / "joined.ts").write_bytes(content)
    samples, message = extract(tmp_path / "joined.ts")
    assert len(samples) / RATE == pytest.approx(4.0, abs=0.2)
    assert "the container's times jump once" in message
    assert "its format changes midway" in message


def test_a_resampler_goes_on_where_the_one_before_stood():
    resampler = MonoResampler(RATE)
    blocks = []
    for start, layout, count in ((0, "mono", 8000), (8000, "stereo", 8000), (16000 + 8000, "mono", 8000)):
        channels = 2 if layout == "stereo" else 1
        frame = av.AudioFrame.from_ndarray(np.full((channels, count), 1000, np.int16), format="s16p", layout=layout)
        frame.sample_rate, frame.pts, frame.time_base = RATE, start, Fraction(1, RATE)
        blocks += resampler.push(frame, np.full((channels, count), 1000, np.int16))
    blocks += resampler.finish()
    samples = np.concatenate(blocks)
    expected = np.full(32000, 1000)
    expected[16000:24000] = 0  # a gap of half a second stays one
    np.testing.assert_array_equal(samples, expected)
    assert (resampler.num_samples, resampler.num_formats) == (32000, 3)


@pytest.mark.parametrize(("rate", "layout", "number_format"), [(44100, "stereo", "fltp"), (11025, "mono", "u8")])
def test_long_silence_is_the_resamplers_own_to_the_bit(monkeypatch, rate, layout, number_format):
    values = np.random.default_rng(0).integers(100, 150, (len(av.AudioLayout(layout).channels), 1024))
    values = values.astype(np.uint8) if number_format == "u8" else (values / 1000).astype(np.float32)

    def resample():
        resampler, blocks = MonoResampler(RATE), []
        for start in (round(31.3 * rate), round(47.77 * rate)):  # s: late, and after a gap
            frame = av.AudioFrame.from_ndarray(values, format=number_format, layout=layout)
            frame.sample_rate, frame.pts, frame.time_base = rate, start, Fraction(1, rate)
            blocks += resampler.push(frame, values)
        return np.concatenate([*blocks, *resampler.finish()])

    samples = resample()
    monkeypatch.setattr("pipeline.media.sound.resampling.LONGEST_FILLED_SECONDS", 100.0)
    np.testing.assert_array_equal(samples, resample())
    assert np.flatnonzero(samples)[0] == pytest.approx(31.3 * RATE, abs=30)
    assert len(samples) == pytest.approx((47.77 + 1024 / rate) * RATE, abs=30)


LATE = """
import re, sys
from pathlib import Path
from pipeline.media import extract_wav
print(extract_wav(Path("late.mkv"), Path("late.wav")))
# Not the system's own account of a process, which begins with the memory of the one that started it.
print(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1])
"""


def test_silence_before_late_sound_takes_no_memory(tmp_path):
    picture = ["-f", "lavfi", "-i", "color=gray:s=32x32:r=0.2:d=1000"]
    sine = ["-itsoffset", "1000", "-f", "lavfi", "-i", "sine=500:d=2:r=48000"]
    run_ffmpeg(tmp_path, *picture, *sine, "-c:v", "mpeg4", "-c:a", "pcm_f32le", "-ac", "2", "late.mkv")
    ended = subprocess.run([sys.executable, "-c", LATE], cwd=tmp_path, capture_output=True, text=True, check=True)
    sound, memory = ended.stdout.splitlines()
    assert sound == f"Sound(num_samples={1002 * RATE}, message='')"
    assert int(memory) < 250 << 10  # kB; the resampler's own silence is 0.9 GB
    with wave.open(str(tmp_path / "late.wav")) as file:
        assert not any(file.readframes(1000 * RATE - 20))
        file.setpos(1000 * RATE)
        late = np.frombuffer(file.readframes(RATE), "<i2")
    assert np.abs(np.fft.rfft(late)).argmax() == 500
    (tmp_path / "late.wav").unlink()  # 32 MB


# Damage


def test_a_damaged_mp3_is_never_longer_than_its_packets(tmp_path):
    run_ffmpeg(tmp_path, "-f", "lavfi", "-i", "sine=500:d=20:r=44100", "-c:a", "libmp3lame", "whole.mp3")
    content = bytearray((tmp_path / "whole.mp3").read_bytes())
    values = np.random.default_rng(0).integers(0, 256, len(content))
    for at in range(97, len(content), 97):
        content[at] = values[at]
    (tmp_path / "damaged.mp3").write_bytes(content)
    samples, message = extract(tmp_path / "damaged.mp3")
    with av.open(str(tmp_path / "damaged.mp3")) as container:
        stream = container.streams.audio[0]
        span = max(float((p.pts + p.duration) * p.time_base) for p in container.demux(stream) if p.pts is not None)
    assert 10 < len(samples) / RATE <= span + 0.1 <= 20.2
    assert "packets could not be decoded" in message


def test_sound_that_fits_into_no_wav_file_is_refused_before_the_disk_is_full(tmp_path, monkeypatch):
    monkeypatch.setattr(wav_files, "_MOST_BYTES", 20_000)
    path = write(tmp_path / "long.wav", tones(1, 440))
    with pytest.raises(MediaError, match="hours of sound do not fit into a WAV file") as caught:
        extract_wav(path, tmp_path / "out.wav")
    assert caught.value.status == "decode_error"
    assert [p.name for p in tmp_path.iterdir()] == ["long.wav"]


@pytest.mark.parametrize("seconds", [3e6, -5e3, 1e12])
def test_no_claimed_duration_fails_a_shard(tmp_path, seconds):
    write(tmp_path / "a.wav", tones(1, 440))
    run_ffmpeg(tmp_path, "-i", "a.wav", "-c:a", "pcm_s16le", "clip.mkv")
    content = bytearray((tmp_path / "clip.mkv").read_bytes())
    at = content.index(bytes.fromhex("448988")) + 3  # Duration, a float of 8 bytes, in milliseconds
    content[at : at + 8] = struct.pack(">d", seconds * 1000)
    (tmp_path / "clip.mkv").write_bytes(content)
    for options in ({}, {"ffmpeg": ffmpeg_binary()}):
        samples, message = extract(tmp_path / "clip.mkv", **options)
        assert len(samples) == RATE
        assert ("the container lists" in message) == (seconds > 0)
    assert 0 < time_limit(seconds) <= MOST_TIME_LIMIT_SECONDS


def test_the_work_stops_when_it_is_told_to(tmp_path):
    path = write(tmp_path / "a.wav", tones(20, 440))
    stopping = threading.Event()
    stopping.set()
    with pytest.raises(InterruptedError, match=r"the work was stopped: .*a.wav"):
        extract_wav(path, tmp_path / "out.wav", stopping=stopping)
    assert [p.name for p in tmp_path.iterdir()] == ["a.wav"]


def test_sound_that_takes_too_long_is_no_status(tmp_path, monkeypatch):
    path = write(tmp_path / "a.wav", tones(20, 440))
    monkeypatch.setattr("pipeline.media.sound.decoding.LEAST_TIME_LIMIT_SECONDS", -1e9)
    monkeypatch.setattr(SoundDecoder, "span_seconds", 0.0, raising=False)
    with pytest.raises(TimeoutError, match=r"the sound of .*a.wav did not decode within"):
        extract_wav(path, tmp_path / "out.wav")


# Channels


def test_channels_that_cancel_each_other_out_give_one_of_them(tmp_path):
    one = tones(2, 500)[:, 0]
    path = write(tmp_path / "anti.wav", np.stack([one, -one], axis=1))
    samples, message = extract(path)
    np.testing.assert_allclose(samples, one, atol=2e-4)
    assert "of its 2 channels is" in message
    assert "is taken alone: they cancel each other out" in message


@pytest.mark.parametrize("right", [0.0, 1.0, -0.5, 0.1])
def test_channels_that_do_not_cancel_are_mixed(tmp_path, right):
    one = tones(2, 500)[:, 0]
    path = write(tmp_path / "mix.wav", np.stack([one, right * one], axis=1))
    samples, message = extract(path)
    np.testing.assert_allclose(samples, one * (1 + right) / 2, atol=2e-4)
    assert message == ""


def test_what_no_16_khz_has_is_no_cancelling(tmp_path):
    path = write(tmp_path / "high.wav", tones(1, 15000, 15000, rate=48000), 48000)
    samples, message = extract(path)
    assert np.abs(samples[1000:-1000]).max() < 0.01
    assert "taken alone" not in message


def test_low_frequency_effects_are_never_taken_alone(tmp_path):
    run_ffmpeg(tmp_path, "-f", "lavfi", "-i", "aevalsrc=0.005*sin(3000*t)|0|0|0.9*sin(300*t)|0|0:c=5.1:d=1", "a.wav")
    samples, message = extract(tmp_path / "a.wav")
    assert 0 < np.abs(samples).max() < 0.01
    assert message == ""


def test_a_channel_can_be_asked_for(tmp_path):
    both = tones(1, 500, 900)
    path = write(tmp_path / "two.wav", both)
    for options in ({}, {"ffmpeg": ffmpeg_binary()}):
        for channel in (0, 1):
            samples, message = extract(path, channel=channel, **options)
            np.testing.assert_allclose(samples, both[:, channel], atol=1e-4)
            assert message == ""
        with pytest.raises(MediaError, match="audio channel 2 was asked for; the sound has 2, from 0") as caught:
            extract(path, channel=2, **options)
        assert caught.value.status == "no_stream"


def test_a_quiet_channel_can_be_asked_for(tmp_path):
    both = tones(1, 500, 900) * [1, 0.01]
    samples, message = extract(write(tmp_path / "two.wav", both), channel=1)
    np.testing.assert_allclose(samples, both[:, 1], atol=1e-4)
    assert message == ""


@pytest.mark.parametrize("layouts", [("stereo", "mono", "stereo"), ("mono", "stereo"), ("quad", "stereo")])
def test_a_channel_that_is_there_at_times_is_taken_where_it_is(tmp_path, layouts):
    channel = 2 if "quad" in layouts else 1
    counts = [len(av.AudioLayout(layout).channels) for layout in layouts]
    parts = [[300 + 200 * part + 50 * i for i in range(count)] for part, count in enumerate(counts)]
    content = b""
    for part, pitches in enumerate(parts):
        expression = "|".join(f"0.1*sin({2 * np.pi * pitch}*t)" for pitch in pitches)
        made = f"aevalsrc={expression}:c={layouts[part]}:d=1:s=48000"
        codec = ["-c:a", "ac3", "-b:a", "384k", "-f", "ac3"]
        run_ffmpeg(tmp_path, "-f", "lavfi", "-i", made, *codec, "part.ac3")
        content += (tmp_path / "part.ac3").read_bytes()
    (tmp_path / "joined.ac3").write_bytes(content)
    samples, message = extract(tmp_path / "joined.ac3", channel=channel)
    assert len(samples) / RATE == pytest.approx(len(layouts), abs=0.1)
    for part, pitches in enumerate(parts):
        middle = samples[round((part + 0.2) * RATE) : round((part + 0.7) * RATE)]
        loud = np.flatnonzero(np.abs(np.fft.rfft(middle)) > 0.02 * len(middle)) * 2
        wanted = [pitches[channel]] if channel < len(pitches) else pitches
        assert loud.tolist() == wanted
    first = next(part for part, pitches in enumerate(parts) if channel >= len(pitches))
    count = len(parts[first])
    instead = "that one is taken" if count == 1 else "they are mixed"
    pattern = rf"audio channel {channel} was asked for; where the sound has only {count} \(first at (.*) s\), {instead}"
    found = re.search(pattern, message)
    assert found, message
    assert float(found[1]) == pytest.approx(first, abs=0.1)


@pytest.mark.parametrize("count", [3, 4, 5, 6, 7, 8, 10, 16])
def test_channels_without_a_layout_are_mixed_as_the_program_does(tmp_path, count):
    path = write(tmp_path / "many.wav", tones(0.5, *(300 + 50 * i for i in range(count)), level=0.1))
    samples, message = extract(path)
    expected, _ = extract(path, ffmpeg=ffmpeg_binary())
    np.testing.assert_array_equal(samples, expected)
    assert message == ""


@pytest.mark.parametrize("count", [9, 20, 60])
@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_U8", "FLOAT"])
def test_channels_of_no_known_layout_count_alike(tmp_path, count, subtype):
    each = tones(0.5, *(300 + 50 * i for i in range(count)))
    samples, message = extract(write(tmp_path / "many.wav", each, subtype=subtype))
    np.testing.assert_allclose(samples, each.mean(axis=1), atol=0.01 if subtype == "PCM_U8" else 2e-4)
    assert message == f"its channels ({count} channels) have no layout that could be mixed by and count alike"


def test_ambisonics_count_alike(tmp_path):
    pan = "pan=4.0|c0=c0|c1=0.5*c0|c2=c0|c3=0.2*c0"
    opus = ["-c:a", "libopus", "-mapping_family", "2", "-b:a", "256k"]
    run_ffmpeg(tmp_path, "-f", "lavfi", "-i", "sine=500:d=2:r=48000", "-af", pan, *opus, "a.mka")
    samples, message = extract(tmp_path / "a.mka")
    assert np.sqrt(np.mean(samples**2)) == pytest.approx(0.125 / np.sqrt(2) * 2.7 / 4, rel=0.05)
    assert "(ambisonic 1) have no layout" in message


def test_program_that_cannot_mix_says_why_first(tmp_path):
    path = write(tmp_path / "many.wav", tones(0.5, *range(300, 320)))
    with pytest.raises(MediaError, match=r"ffmpeg does not decode the sound: .*[Rr]ematrix"):
        extract(path, ffmpeg=ffmpeg_binary())


# Streams


def with_unknown_codec(folder, place):
    """A MOV file of two sounds, 500 and 900 Hz, both default, of which one is of a codec that nobody knows."""
    sines = ["-f", "lavfi", "-i", "sine=500:d=2:r=44100", "-f", "lavfi", "-i", "sine=900:d=2:r=44100"]
    default = ["-disposition:a:0", "default", "-disposition:a:1", "default"]
    run_ffmpeg(folder, *sines, "-map", "0", "-map", "1", "-c:a", "aac", *default, "two.mov")
    content = (folder / "two.mov").read_bytes()
    at = -1
    for _ in range(place + 1):
        at = content.index(b"stsd", at + 1)
    at = content.index(b"mp4a", at)
    content = content[:at] + b"apac" + content[at + 4 :]
    at = content.index(b"esds", at)
    (folder / "odd.mov").write_bytes(content[:at] + b"dapa" + content[at + 4 :])
    return folder / "odd.mov"


@pytest.mark.parametrize(("place", "pitch"), [(0, 900), (1, 500)])
def test_a_stream_that_can_be_decoded_is_taken(tmp_path, place, pitch):
    samples, message = extract(with_unknown_codec(tmp_path, place))
    assert np.abs(np.fft.rfft(samples[:RATE])).argmax() == pitch
    assert ("cannot be decoded, stream 1 (aac, 1 channel) is taken" in message) == (place == 0)


def test_a_stream_without_a_decoder_names_the_others(tmp_path):
    path = with_unknown_codec(tmp_path, 0)
    match = r"no decoder for the sound; the file has stream 0 \(of a codec .*\), stream 1 \(aac, 1 channel\)"
    with pytest.raises(MediaError, match=match) as caught:
        extract(path, stream=0)
    assert caught.value.status == "decode_error"


def test_a_stream_that_gives_nothing_leaves_the_turn_to_the_next(tmp_path):
    sines = ["-f", "lavfi", "-i", "sine=500:d=1:r=44100", "-f", "lavfi", "-i", "sine=900:d=1:r=44100"]
    run_ffmpeg(tmp_path, *sines, "-map", "0", "-map", "1", "-c:a", "flac", "two.mka")
    with av.open(str(tmp_path / "two.mka")) as container:
        broken = [bytes(packet) for packet in container.demux(audio=0) if packet.size]
    content = (tmp_path / "two.mka").read_bytes()
    for packet in broken:
        content = content.replace(packet, bytes(len(packet)))
    (tmp_path / "two.mka").write_bytes(content)
    samples, message = extract(tmp_path / "two.mka")
    assert np.abs(np.fft.rfft(samples)).argmax() == 900
    assert "sound stream 0 (flac, 1 channel) cannot be decoded, stream 1 (flac, 1 channel) is taken" in message
    with pytest.raises(
        MediaError,
        match=r"not one sample of the sound can be decoded.*other sound \(overrides, audio_stream\): stream 1 \(flac",
    ):
        extract(tmp_path / "two.mka", stream=0)


# What a listener would notice


def test_digital_silence_is_told(tmp_path):
    _, message = extract(write(tmp_path / "a.wav", np.zeros(RATE)))
    assert message == "the sound is digital silence: every sample is 0"


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "PCM_U8", "FLOAT", "DOUBLE"])
def test_clipped_samples_are_told(tmp_path, subtype):
    loud = np.clip(tones(2, 440, level=1.2), -1, 1)
    share = np.mean(np.abs(loud) >= 1)
    _, message = extract(write(tmp_path / "a.wav", loud, subtype=subtype))
    assert message == f"{100 * share:.2g} % of the samples are clipped: it was recorded too loud"
    loud[80:] *= 0.9  # of 32000 samples a few at the edge are no fault
    _, message = extract(write(tmp_path / "a.wav", loud, subtype=subtype))
    assert message == ""


def test_samples_that_are_no_numbers_are_silence_and_told(tmp_path):
    odd = tones(2, 440, level=0.2)[:, 0].astype(np.float32)
    odd[100:110], odd[5000] = np.nan, np.inf
    samples, message = extract(write(tmp_path / "a.wav", odd, subtype="FLOAT"))
    odd[100:110] = odd[5000] = 0
    np.testing.assert_allclose(samples, odd, atol=1e-4)
    assert message == "11 samples are no numbers (NaN or infinite): taken as silence"


def test_a_constant_offset_is_told(tmp_path):
    _, message = extract(write(tmp_path / "a.wav", tones(1, 440, level=0.1) + 0.2))
    assert message == "the sound has a constant offset (DC) of 20 % of full scale"
    assert extract(write(tmp_path / "a.wav", tones(1, 440, level=0.1) + 0.005))[1] == ""


# The same bytes as the program


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.mp4", ["-c:a", "aac"]),
        ("a.mp4", ["-c:a", "aac", "-ar", "22050", "-ac", "1"]),
        ("a.mp4", ["-c:a", "aac", "-movflags", "frag_keyframe+empty_moov"]),
        ("a.mov", ["-c:a", "alac"]),
        ("a.mov", ["-c:a", "pcm_s24le"]),
        ("a.mkv", ["-c:a", "libvorbis"]),
        ("a.webm", ["-c:a", "libopus"]),
        ("a.mka", ["-c:a", "ac3", "-ac", "6"]),
        ("a.mka", ["-c:a", "eac3", "-ac", "6", "-center_mixlev", "0.5", "-surround_mixlev", "0.707"]),
        ("a.mka", ["-c:a", "aac", "-ac", "6"]),
        ("a.ts", ["-c:a", "mp2"]),
        ("a.avi", ["-c:a", "libmp3lame"]),
        ("a.flv", ["-c:a", "aac"]),
        ("a.wma", ["-c:a", "wmav2"]),
        ("a.flac", ["-c:a", "flac"]),
        ("a.wav", ["-c:a", "pcm_f32le"]),
        ("a.wav", ["-c:a", "pcm_u8"]),
    ],
)
def test_the_bytes_are_those_of_the_program(tmp_path, name, options):
    made = "aevalsrc=0.4*sin(900*t*t)|0.3*cos(2500*t):d=1.37:s=44100"
    run_ffmpeg(tmp_path, "-f", "lavfi", "-i", made, *options, name)
    sounds = [extract_wav(tmp_path / name, tmp_path / "own.wav")]
    sounds += [extract_wav(tmp_path / name, tmp_path / "program.wav", ffmpeg=ffmpeg_binary())]
    assert (tmp_path / "own.wav").read_bytes() == (tmp_path / "program.wav").read_bytes()
    assert sounds[0] == sounds[1] == Sound(sounds[0].num_samples, "")
    assert sounds[0].num_samples > 1.3 * RATE


@pytest.mark.parametrize(
    ("name", "options"),
    [("a.mp4", ["-c:a", "libopus"]), ("a.3gp", ["-c:a", "libopencore_amrnb", "-ar", "8000", "-ac", "1"])],
)
def test_an_encoders_filling_is_left_off_where_the_program_keeps_it(tmp_path, name, options):
    made = "aevalsrc=0.4*sin(900*t*t)|0.3*cos(2500*t):d=1.37:s=48000"
    run_ffmpeg(tmp_path, "-f", "lavfi", "-i", made, *options, name)
    samples, message = extract(tmp_path / name)
    longer, _ = extract(tmp_path / name, ffmpeg=ffmpeg_binary())
    assert len(samples) == round(1.37 * RATE)
    assert message == ""
    assert 0 < len(longer) - len(samples) < 0.02 * RATE
    end = len(samples) - 30  # what follows is heard by the resampler
    np.testing.assert_array_equal(samples[:end], longer[:end])
