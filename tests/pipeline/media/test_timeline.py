"""Times that jump or start again: sound and picture stay on one clock, and nothing of either is lost."""

import subprocess
import wave
from fractions import Fraction

import av
import numpy as np
import pytest

from pipeline.media import MediaError, extract_wav, ffmpeg_binary, read_frames, scan_frames, write_clip
from pipeline.media.timeline import Pauses, Piece, Timeline, find_pieces

RATE = 16000


def spans(*starts, length=1.0):
    return [(start, start, start + length) for start in starts]


@pytest.mark.parametrize(
    ("streams", "pieces"),
    [
        ([spans(5, 6, 7)], [(0, 5, 5)]),
        # The sound waits half a minute while the picture goes on: no jump.
        ([spans(5, 6, 36), spans(*range(5, 40))], [(0, 5, 5)]),
        # Both wait: closed up to the later of the two ends.
        ([spans(5, 6, 36), spans(5, 6.5, 36.5)], [(0, 5, 5), (0, 36, 33.5)]),
        # Both start again; the sound of the second part starts later than its picture and stays so.
        ([spans(5, 6, 1.25), spans(5, 6, 1)], [(0, 5, 5), (1, 1, -1)]),
        # A jump, then the start again.
        ([spans(5, 6, 99, 1)], [(0, 5, 5), (0, 99, 97), (1, 1, -2)]),
        ([], [(0, 5, 5)]),
    ],
)
def test_pieces(streams, pieces):
    assert find_pieces(streams, 5.0) == tuple(Piece(*piece) for piece in pieces)


def test_times_of_a_clip_by_their_piece():
    clock = Timeline((Piece(0, 5, 5), Piece(0, 99, 97), Piece(1, 1, -2)))
    given = [(0, 4.9), (0, 5), (0, 6.5), (0, 99), (1, 0.9), (1, 1), (1, 2), (2, 0.5)]
    assert [clock.clip_seconds(*one) for one in given] == pytest.approx([-0.1, 0, 1.5, 2, 2.9, 3, 4, 2.5])
    assert clock.message == (
        "the container's times jump 2 times, first after 2.00 s; sound and picture are closed up there"
    )
    assert Timeline(clock.pieces[:1]).message == ""


def beep(start):
    """One second, silent but for a tone of 0.2 s at `start`, and 25 frames, black but for those five."""
    times = np.arange(RATE) / RATE
    on = (times >= start) & (times < start + 0.2)
    frames = [np.full((48, 64, 3), 230 if start <= i / 25 < start + 0.2 else 20, np.uint8) for i in range(25)]
    return frames, (0.5 * np.sin(2 * np.pi * 440 * times) * on).astype(np.float32)


def join(folder, offsets, name="joined.ts"):
    """Join recordings of a second, each with a beep and a flash at one time, that start at `offsets` seconds."""
    content = b""
    for number, offset in enumerate(offsets):
        frames, samples = beep(0.2 * (number + 1))
        write_clip(folder / "part.mp4", frames, frame_rate=25, samples=samples, sample_rate=RATE)
        command = [ffmpeg_binary(), "-v", "error", "-y", "-i", "part.mp4", "-c", "copy"]
        subprocess.run([*command, "-output_ts_offset", str(offset), "part.ts"], check=True, cwd=folder)
        content += (folder / "part.ts").read_bytes()
    (folder / name).write_bytes(content)
    return folder / name


def onsets(values, rate, level):
    """Times at which something rises above a level after at least 0.1 s below it."""
    on = np.flatnonzero(np.abs(values) > level)
    return [on[0] / rate, *(on[1:][np.diff(on) > 0.1 * rate] / rate)]


@pytest.mark.parametrize("offsets", [(0, 7200), (7200, 0), (0, 60), (60, 0), (0, 0), (0, 7200, 0)])
def test_joined_recordings_lose_nothing_and_stay_on_one_clock(tmp_path, offsets):
    path = join(tmp_path, offsets)
    sound = extract_wav(path, tmp_path / "a.wav")
    table = scan_frames(path)
    frames = list(read_frames(path, table, threads=1))
    assert len(frames) == len(table.times_seconds) == 25 * len(offsets)
    # A part lasts as long as the longer of the two, the sound with what its encoder puts before and behind.
    assert sound.num_samples / RATE == pytest.approx(1.08 * len(offsets), abs=0.05)
    assert table.times_seconds[-1] == pytest.approx(1.08 * len(offsets), abs=0.1)
    with wave.open(str(tmp_path / "a.wav")) as file:
        heard = onsets(np.frombuffer(file.readframes(file.getnframes()), "<i2"), RATE, 4000)
    bright = np.array([frame.image.mean() > 120 for frame in frames])
    shown = [frames[i].time_seconds for i in np.flatnonzero(bright & ~np.roll(bright, 1))]
    assert len(heard) == len(shown) == len(offsets)
    np.testing.assert_allclose(heard, shown, atol=0.05)  # AAC's packets are 0.064 s
    assert "the container's times jump" in sound.message
    assert "sound and picture are closed up there" in table.message
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.wav", "joined.ts", "part.mp4", "part.ts"]


@pytest.mark.parametrize("kinds", [("audio", "video"), ("audio",)])
def test_a_jump_within_an_mp4_is_closed_up(tmp_path, kinds):
    frames, samples = beep(0.4)
    write_clip(tmp_path / "part.mp4", frames, frame_rate=25, samples=samples, sample_rate=RATE)
    path = tmp_path / "jump.mp4"
    part = str(tmp_path / "part.mp4")
    with av.open(part) as first, av.open(part) as second, av.open(str(path), "w") as target:
        streams = {stream.type: target.add_stream_from_template(stream) for stream in first.streams}
        for source, start in ((first, 0), (second, 1.2)):
            for packet in source.demux():
                if packet.dts is not None:
                    late = start + 7200 * (source is second and packet.stream.type in kinds)
                    packet.dts += int(late / packet.time_base)
                    packet.pts += int(late / packet.time_base)
                    packet.stream = streams[packet.stream.type]
                    target.mux(packet)
    sound = extract_wav(path, tmp_path / "a.wav")
    table = scan_frames(path)
    assert len(list(read_frames(path, table, threads=1))) == len(table.times_seconds) == 50
    assert 2 < sound.num_samples / RATE < 5
    assert table.times_seconds[-1] < 5
    assert "jump once" in sound.message
    with wave.open(str(tmp_path / "a.wav")) as file:
        assert len(onsets(np.frombuffer(file.readframes(file.getnframes()), "<i2"), RATE, 4000)) == 2


@pytest.mark.parametrize(("offset", "lost"), [(1.01, 0), (0.999, 2), (0.9, 4), (0.7, 9)])
@pytest.mark.parametrize("threads", [1, 4])
def test_parts_that_overlap_lose_what_overlaps_and_no_more(tmp_path, offset, lost, threads):
    path = join(tmp_path, (0, offset))
    with av.open(str(path)) as container:
        base, origin = container.streams.video[0].time_base, container.start_time / av.time_base
        times = [float(p.pts * base) - origin for p in container.demux(video=0) if p.pts is not None]
    first, second = np.sort(times[:25]), np.sort(times[25:])
    by = first[-1] - second[0]
    assert 0 < by < 0.4
    table = scan_frames(path)
    reader = read_frames(path, table, threads=threads)
    frames = list(reader)
    assert len(frames) == len(table.times_seconds) == 50 - lost
    assert reader.message == ""
    left_out = f"; {lost} frames that overlap are left out" if lost else ""
    assert table.message == f"times go back by {by:.3f} s at {first[-1]:.2f} s{left_out}"
    np.testing.assert_allclose(table.times_seconds[:25], first, atol=1e-6)
    assert (np.diff(table.times_seconds) > 0).all()
    # Those that come later than the first part keep their times; a single one that is early by less comes behind it.
    later = second[second > first[-1]]
    assert len(later) == 25 - max(lost, 1)
    np.testing.assert_allclose(table.times_seconds[-len(later) :], later, atol=1e-6)
    # The flash of the second part begins 0.4 s after its start, and nothing of it overlaps.
    bright = [frame.time_seconds for frame in frames if frame.image.mean() > 120 and frame.index >= 25]
    assert bright[0] == pytest.approx(second[10], abs=1e-6)


def write_call(path, plan, codec="libvpx"):
    """Write a call's recording: `plan` has for each picture its time and whether it is a key frame; sound until 1 s."""
    with av.open(str(path), "w", format="matroska") as output:
        video = output.add_stream(codec, rate=25, options={"lag-in-frames": "0"})
        video.width, video.height, video.codec_context.gop_size = 64, 48, 1000
        audio = output.add_stream("libopus", rate=48000, layout="mono")
        for number in range(50):
            samples = np.random.default_rng(number).uniform(-0.5, 0.5, (1, 960)).astype(np.float32)
            frame = av.AudioFrame.from_ndarray(samples, format="flt", layout="mono")
            frame.sample_rate, frame.pts = 48000, 960 * number
            output.mux(audio.encode(frame))
        for number, (time, is_key) in enumerate(plan):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 9 * number, np.uint8), format="bgr24")
            frame.pts, frame.time_base = round(25 * time), Fraction(1, 25)
            frame.pict_type = av.video.frame.PictureType.I if is_key else av.video.frame.PictureType.P
            output.mux(video.encode(frame))
        output.mux(video.encode(None))
        output.mux(audio.encode(None))


@pytest.mark.parametrize(
    ("resumes", "end", "message"),
    [
        # The microphone off and the screen still for half a minute; then the screen goes on.
        (False, 31.2, ""),
        # A recording joined to another one starts with a key frame.
        (True, 2.2, "the container's times jump once, first after 1.00 s; sound and picture are closed up there"),
    ],
)
def test_a_call_that_stands_still_is_no_joined_recording(tmp_path, resumes, end, message):
    path = tmp_path / "call.mkv"
    times = [*np.arange(0, 1, 0.2), *np.arange(30, 31.4, 0.2)]
    write_call(path, [(time, time == 0 or (resumes and time == 30)) for time in times])
    table = scan_frames(path)
    assert table.times_seconds[-1] == pytest.approx(end, abs=0.05)
    assert table.message == message
    assert len(list(read_frames(path, table))) == len(times)


def test_pauses_are_told_from_jumps_and_bounded():
    times = [(0.0, 0.0, 1.0), (60.0, 60.0, 61.0), (120.0, 120.0, 121.0)]
    goes_on = [(times, [True, False, False])]
    assert [Pauses(goes_on, False)(0, 1.0, 60.0), Pauses(goes_on, False, most=58.0)(0, 1.0, 60.0)] == [True, False]
    bounded = Pauses(goes_on, False, most=100.0)
    assert [bounded(0, 1.0, 60.0), bounded(0, 61.0, 120.0)] == [True, False]
    assert not Pauses([(times, [True, True, False])], False)(0, 1.0, 60.0)
    # No picture follows: only a recorder's clock says that it paused.
    assert [Pauses(goes_on, kind)(0, 121.0, 180.0) for kind in (True, False)] == [True, False]
    assert find_pieces([times], 0.0, is_pause=Pauses(goes_on, False)) == (Piece(0, 0.0, 0.0),)


def test_a_pause_of_sound_alone_stays_silence(tmp_path):
    frames, samples = beep(0.2)
    long = np.concatenate([samples, np.zeros(12 * RATE, np.float32), samples])
    write_clip(tmp_path / "whole.mp4", frames * 14, frame_rate=25, samples=long, sample_rate=RATE)
    path = tmp_path / "paused.mkv"
    with av.open(str(tmp_path / "whole.mp4")) as source, av.open(str(path), "w") as target:
        streams = {stream.index: target.add_stream_from_template(stream) for stream in source.streams}
        for packet in source.demux():
            waits = packet.stream.type == "audio" and packet.dts is not None and 1.2 < packet.pts / RATE < 12.8
            if packet.dts is not None and not waits:
                packet.stream = streams[packet.stream.index]
                target.mux(packet)
    sound = extract_wav(path, tmp_path / "a.wav")
    assert sound.message == scan_frames(path).message == ""
    assert sound.num_samples / RATE == pytest.approx(14, abs=0.1)


def test_a_slide_show_keeps_its_times(tmp_path):
    path = tmp_path / "slides.mkv"
    with av.open(str(path), "w") as output:
        stream = output.add_stream("mpeg4", rate=25)
        stream.width, stream.height = 64, 48
        for i in range(4):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 50 * i, np.uint8), format="bgr24")
            frame.pts = 25 * 30 * i
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    table = scan_frames(path)
    np.testing.assert_allclose(table.times_seconds, [0, 30, 60, 90])
    assert table.message == ""


def test_times_that_jump_again_and_again_mean_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr("pipeline.media.clip_timeline.MOST_PIECES", 2)
    path = join(tmp_path, (0, 60, 0))
    for attempt in (scan_frames, lambda path: extract_wav(path, tmp_path / "a.wav")):
        with pytest.raises(
            MediaError, match="times jump 2 times, more than 1 mean nothing; convert the clip"
        ) as caught:
            attempt(path)
        assert caught.value.status == "decode_error"
