import errno
import threading
import wave
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from pipeline import media
from pipeline.media import MediaError, Sound, extract_wav, prefetch, read_frames, scan_frames, write_clip
from pipeline.media import container as media_container
from pipeline.media.shapes import square_size

RATE = 16000
HEIGHT, WIDTH = 48, 64
# Four colours in the corners, BGR, so that a turn or a mirror shows: red, green / blue, white.
CORNERS = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
CORNERS[:24, :32], CORNERS[:24, 32:], CORNERS[24:, :32], CORNERS[24:][:, 32:] = (
    (0, 0, 255),
    (0, 255, 0),
    (255, 0, 0),
    255,
)


def tone(seconds, frequency=440.0):
    return (0.5 * np.sin(2 * np.pi * frequency * np.arange(int(seconds * RATE)) / RATE)).astype(np.float32)


def ramp(count):
    """Grey frames that get brighter, so that a frame's brightness tells which one it is."""
    return [np.full((HEIGHT, WIDTH, 3), 8 * i + 8, np.uint8) for i in range(count)]


def encode(
    path, frames, *, codec="libx264", container=None, pix_fmt="yuv420p", options=None, pts=None, **stream_options
):
    """Write a clip with PyAV, for what write_clip does not do."""
    rotation, aspect, b_frames = (stream_options.get(key) for key in ("rotation", "aspect", "b_frames"))
    with av.open(f"file:{path}", "w", format=container) as output:
        stream = output.add_stream(codec, rate=25, options=options or {})
        stream.height, stream.width, stream.pix_fmt = *frames[0].shape[:2], pix_fmt
        if rotation:
            stream.set_display_rotation(**rotation)
        if aspect:
            stream.codec_context.sample_aspect_ratio = aspect
        if b_frames:
            stream.codec_context.max_b_frames = b_frames
        for i, image in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(image, format="bgr24")
            frame.pts, frame.time_base = (i if pts is None else pts[i]), Fraction(1, 25)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return path


@pytest.fixture
def clip(tmp_path):
    """One second: 25 frames and a tone."""
    path = tmp_path / "clip.mp4"
    write_clip(path, ramp(25), frame_rate=25, samples=tone(1), sample_rate=RATE)
    return path


def read_wav(path):
    with wave.open(str(path)) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, RATE)
        return np.frombuffer(file.readframes(file.getnframes()), "<i2")


def brightness(frames):
    return [float(frame.image.mean()) for frame in frames]


# Writing


def test_a_written_clip_reads_back(clip, tmp_path):
    table = scan_frames(clip)
    np.testing.assert_allclose(table.times_seconds, np.arange(25) / 25, atol=1e-9)
    assert (table.width, table.height, table.rotation_degrees, table.sample_aspect_ratio) == (WIDTH, HEIGHT, 0, 1)
    assert (table.num_frames_listed, table.codec, table.frame_rate, table.message) == (25, "h264", 25.0, "")
    frames = list(read_frames(clip, table))
    assert [frame.index for frame in frames] == list(range(25))
    np.testing.assert_allclose(brightness(frames), [8 * i + 8 for i in range(25)], atol=4)
    assert extract_wav(clip, tmp_path / "a.wav") == Sound(RATE, "")
    samples = read_wav(tmp_path / "a.wav") / 32768
    assert np.corrcoef(samples[2000:-2000], tone(1)[2000:-2000])[0, 1] > 0.99


def test_the_same_input_gives_the_same_bytes(clip, tmp_path):
    write_clip(tmp_path / "b.mp4", ramp(25), frame_rate=25, samples=tone(1), sample_rate=RATE)
    assert clip.read_bytes() == (tmp_path / "b.mp4").read_bytes()
    for name in ("a.wav", "b.wav"):
        extract_wav(clip, tmp_path / name)
    assert (tmp_path / "a.wav").read_bytes() == (tmp_path / "b.wav").read_bytes()


def test_odd_sides_and_no_sound(tmp_path):
    path = tmp_path / "odd.mp4"
    write_clip(path, [np.full((47, 63, 3), 99, np.uint8)] * 3, frame_rate=29.97, samples=None, sample_rate=RATE)
    table = scan_frames(path)
    assert (table.width, table.height, len(table.times_seconds)) == (63, 47, 3)
    assert next(read_frames(path, table)).image.shape == (47, 63, 3)
    with pytest.raises(MediaError, match="the file has no audio stream"):
        extract_wav(path, tmp_path / "a.wav")


@pytest.mark.parametrize(
    ("frames", "options", "match"),
    [
        ([], {}, "the iterable of frames is empty"),
        ([np.zeros((8, 8, 4), np.uint8)], {}, r"shape \(8, 8, 4\) and dtype uint8"),
        ([np.zeros((8, 8, 3), np.float32)], {}, "dtype float32"),
        (
            [np.zeros((8, 8, 3), np.uint8), np.zeros((8, 6, 3), np.uint8)],
            {},
            r"shape \(8, 6, 3\), the first one \(8, 8, 3\)",
        ),
        (ramp(1), {"frame_rate": 0.0}, "frame_rate is 0.0 frames/s"),
        (ramp(1), {"samples": np.zeros((2, 9), np.float32)}, r"samples have shape \(2, 9\) at 16000 Hz"),
    ],
)
def test_refuses_what_is_no_clip_and_leaves_nothing(tmp_path, frames, options, match):
    with pytest.raises(ValueError, match=match):
        write_clip(tmp_path / "x.mp4", frames, **{"frame_rate": 25.0, "samples": None, "sample_rate": RATE, **options})
    assert list(tmp_path.iterdir()) == []


# Pictures


@pytest.mark.parametrize(
    ("rotation", "degrees", "upright"),
    [
        # set_display_rotation counts counter-clockwise; NumPy's rot90 does as well.
        ({"degrees": 90}, 270, np.rot90(CORNERS)),
        ({"degrees": 180}, 180, np.rot90(CORNERS, 2)),
        ({"degrees": 270}, 90, np.rot90(CORNERS, 3)),
        ({"degrees": 0, "hflip": True}, 0, CORNERS[:, ::-1]),
        ({"degrees": 0, "vflip": True}, 180, CORNERS[::-1]),
    ],
)
def test_pictures_are_turned_and_mirrored_upright(tmp_path, rotation, degrees, upright):
    path = encode(tmp_path / "r.mp4", [CORNERS] * 3, pix_fmt="yuv444p", rotation=rotation)
    table = scan_frames(path)
    assert (table.rotation_degrees, table.height, table.width) == (degrees, *upright.shape[:2])
    image = next(read_frames(path, table)).image
    assert image.flags.c_contiguous
    assert np.abs(image.astype(int) - upright)[4:20, 4:20].mean() < 12
    assert np.abs(image.astype(int) - upright).mean() < 12


@pytest.mark.parametrize(
    ("aspect", "size"),
    [
        (Fraction(2, 1), (128, 48)),  # wide pixels: wider
        (Fraction(2, 3), (64, 72)),  # tall pixels: higher
        (Fraction(145, 144), (64, 48)),  # within 1 %: left alone
    ],
)
def test_pixels_become_square_and_none_is_lost(tmp_path, aspect, size):
    path = encode(tmp_path / "s.mkv", ramp(3), aspect=aspect)
    table = scan_frames(path)
    assert (table.width, table.height) == size
    assert next(read_frames(path, table)).image.shape == (*size[::-1], 3)
    assert table.message == ""


@pytest.mark.parametrize(
    ("aspect", "width", "message"),
    [
        (Fraction(100, 1), 64, "pixels of shape 100:1 are taken for square"),
        (Fraction(1, 100), 64, "pixels of shape 0.01:1 are taken for square"),
        (Fraction(4, 1), 8000, "pixels of shape 4:1 are taken for square, not to make 32000 x 48"),
    ],
)
def test_absurd_pixels_are_taken_for_square(aspect, width, message):
    assert square_size(float(aspect), width, 48) == (width, 48, 1.0, message)


@pytest.mark.parametrize(
    ("codec", "pix_fmt", "name"),
    [
        ("ffv1", "gray", "g.mkv"),
        ("ffv1", "bgra", "a.mkv"),
        ("ffv1", "yuv422p10le", "t.mkv"),
        ("rawvideo", "bgr24", "r.avi"),
    ],
)
def test_pixel_formats(tmp_path, codec, pix_fmt, name):
    path = encode(tmp_path / name, ramp(5), codec=codec, pix_fmt=pix_fmt)
    frames = list(read_frames(path, scan_frames(path)))
    np.testing.assert_allclose(brightness(frames), [8 * i + 8 for i in range(5)], atol=2)
    assert frames[0].image.dtype == np.uint8


@pytest.mark.parametrize(
    ("codec", "name", "options"),
    [
        ("mpeg4", "b.avi", {"b_frames": 2, "options": {"qmin": "1", "qmax": "2"}}),
        ("libx264", "h.avi", {}),
        ("libx264", "raw.h264", {}),
    ],
)
def test_streams_without_times_are_timed_by_their_rate(tmp_path, codec, name, options):
    path = encode(tmp_path / name, ramp(25), codec=codec, **options)
    table = scan_frames(path)
    np.testing.assert_allclose(table.times_seconds, np.arange(25) / 25, atol=1e-6)
    assert "timed by decoding" in table.message
    frames = list(read_frames(path, table, threads=4))
    assert [frame.index for frame in frames] == list(range(25))
    np.testing.assert_allclose(brightness(frames), [8 * i + 8 for i in range(25)], atol=6)


def test_uneven_times_are_kept(tmp_path):
    pts = [0, 1, 2, 10, 11, 30]
    path = encode(tmp_path / "v.mkv", ramp(6), pts=pts)
    table = scan_frames(path)
    np.testing.assert_allclose(table.times_seconds, np.array(pts) / 25, atol=1e-3)
    assert [frame.time_seconds for frame in read_frames(path, table)] == table.times_seconds.tolist()


def test_times_that_start_again_stay_in_order(tmp_path):
    one = encode(tmp_path / "one.ts", ramp(10), container="mpegts")
    twice = tmp_path / "twice.ts"
    twice.write_bytes(one.read_bytes() * 2)
    table = scan_frames(twice)
    assert (np.diff(table.times_seconds) > 0).all()
    frames = list(read_frames(twice, table))
    assert [frame.index for frame in frames] == list(range(20))
    np.testing.assert_allclose(brightness(frames), [8 * i + 8 for i in range(10)] * 2, atol=6)


@pytest.mark.parametrize(
    "name", ["-i dash.mp4", "a b & c.mp4", "Ünï'cö\"de 表情.mp4", "100%d.mp4", "x:y.mp4", "wrong.avi"]
)
def test_names_are_never_options_or_patterns(clip, tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    clip.rename(name)
    assert len(list(read_frames(Path(name), scan_frames(Path(name))))) == 25
    assert extract_wav(Path(name), Path("-out.wav")) == Sound(RATE, "")
    assert read_wav(tmp_path / "-out.wav").any()


def test_cover_art_is_no_video_stream(tmp_path):
    path = tmp_path / "cover.mp4"
    with av.open(str(path), "w") as output:
        sound = output.add_stream("aac", rate=RATE, layout="mono")
        cover = output.add_stream("mjpeg", rate=1)
        cover.width, cover.height, cover.pix_fmt = WIDTH, HEIGHT, "yuvj420p"
        cover.disposition = av.stream.Disposition.attached_pic
        frame = av.AudioFrame.from_ndarray(tone(1)[None], format="fltp", layout="mono")
        frame.sample_rate, frame.pts = RATE, 0
        output.mux(cover.encode(av.VideoFrame.from_ndarray(CORNERS, format="bgr24")))
        output.mux(sound.encode(frame))
        output.mux(sound.encode(None))
    with pytest.raises(MediaError, match=r"no video stream \(cover art does not count\)") as caught:
        scan_frames(path)
    assert caught.value.status == "no_stream"
    assert extract_wav(path, tmp_path / "a.wav").num_samples >= RATE


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"", r"the file is empty \(0 bytes\)"),
        (b"version https://git-lfs.github.com/spec/v1\n", "ffmpeg cannot open the file: Invalid data"),
        (b"ffconcat version 1.0\nfile 'clip.mp4'\n", "format that is no clip"),
        (
            b"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nclip.mp4\n#EXT-X-ENDLIST\n",
            "cannot open the file: Invalid data",
        ),
    ],
)
def test_what_is_no_clip_is_a_decode_error(clip, tmp_path, content, match):
    path = clip.with_name("x.mp4")
    path.write_bytes(content)
    for attempt in (lambda: scan_frames(path), lambda: extract_wav(path, tmp_path / "a.wav")):
        with pytest.raises(MediaError, match=match) as caught:
            attempt()
        assert caught.value.status == "decode_error"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["clip.mp4", "x.mp4"]


def test_truncated_files_give_what_is_there_and_say_so(tmp_path):
    frames = [np.random.default_rng(i).integers(0, 255, (HEIGHT, WIDTH, 3), dtype=np.uint8) for i in range(25)]
    options = {"movflags": "+faststart"}
    path = tmp_path / "t.mp4"
    with av.open(str(path), "w", container_options=options) as output:
        stream = output.add_stream("mpeg4", rate=25)
        stream.width, stream.height = WIDTH, HEIGHT
        for image in frames:
            output.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="bgr24")))
        output.mux(stream.encode(None))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    table = scan_frames(path)
    count = len(table.times_seconds)
    assert 5 < count < 20
    assert table.message == f"the container lists 25 frames, {count} are there"
    assert count - 1 <= len(list(read_frames(path, table))) <= count


def damage(path, start, stop):
    content = bytearray(path.read_bytes())
    content[start:stop] = bytes(stop - start)
    path.write_bytes(content)


def test_broken_packets_are_skipped_counted_and_the_rest_is_read(tmp_path):
    images = [np.random.default_rng(i).integers(0, 255, (HEIGHT, WIDTH, 3), dtype=np.uint8) for i in range(30)]
    path = encode(tmp_path / "d.avi", images, codec="mjpeg", pix_fmt="yuvj420p")
    with av.open(str(path)) as opened:
        packets = [(p.pos, p.size) for p in opened.demux(video=0) if p.size]
    for pos, size in packets[10:12]:
        damage(path, pos, pos + size)
    table = scan_frames(path)
    given = {}
    for threads in (1, 4):
        reader = read_frames(path, table, threads=threads)
        given[threads] = [(frame.index, frame.image.tobytes()) for frame in reader]
        assert [index for index, _ in given[threads]] == [*range(10), *range(12, 30)]
        assert (reader.num_frames, reader.num_bad_packets) == (28, 2)
        assert "2 of 30 frames could not be decoded; 2 broken packets (" in reader.message
    assert given[1] == given[4]


def test_a_clip_of_which_nothing_decodes_is_a_decode_error(tmp_path):
    path = encode(tmp_path / "d.avi", ramp(5), codec="mjpeg", pix_fmt="yuvj420p")
    table = scan_frames(path)
    with av.open(str(path)) as opened:
        packets = [(p.pos, p.size) for p in opened.demux(video=0) if p.size]
    for pos, size in packets:
        damage(path, pos, pos + size)
    with pytest.raises(MediaError, match="not one of 5 frames can be decoded: ") as caught:
        scan_frames(path)
    assert caught.value.status == "decode_error"
    with pytest.raises(MediaError, match="not one of 5 frames could be decoded: "):
        list(read_frames(path, table))


def test_frames_outside_the_table_are_left_out_and_counted(clip):
    table = scan_frames(clip)
    short = media.FrameTable(**{**table.__dict__, "times_seconds": table.times_seconds[5:20]})
    reader = read_frames(clip, short, threads=1)
    assert [frame.index for frame in reader] == list(range(15))
    assert reader.num_untimed == 10
    assert reader.message == "10 frames are shown at times that the table lacks"


def test_a_missing_file_and_a_failing_disk_are_no_statuses(clip, tmp_path, monkeypatch):
    for attempt in (scan_frames, lambda path: extract_wav(path, tmp_path / "a.wav")):
        with pytest.raises(FileNotFoundError):
            attempt(tmp_path / "none.mp4")
    table = scan_frames(clip)
    monkeypatch.setattr(media_container, "is_readable", lambda source, error: False)
    real = av.open

    def failing(*args, **kwargs):
        raise av.error.OSError(errno.EIO, "Input/output error", "clip.mp4")

    monkeypatch.setattr(av, "open", failing)
    with pytest.raises(OSError, match="Input/output error"):
        scan_frames(clip)
    with pytest.raises(OSError, match="Input/output error"):
        list(read_frames(clip, table))
    # The same words from ffmpeg about a file that the system does read are about what it contains.
    monkeypatch.setattr(media_container, "is_readable", lambda source, error: True)
    with pytest.raises(MediaError, match="Input/output error"):
        scan_frames(clip)
    monkeypatch.setattr(av, "open", real)


def test_a_readable_file_is_told_from_an_unreadable_one(clip, tmp_path):
    assert media_container.is_readable(clip, OSError(errno.EIO, "x"))
    assert not media_container.is_readable(tmp_path / "gone.mp4", OSError(errno.EIO, "x"))
    assert not media_container.is_readable(clip, OSError(errno.ENOSPC, "x"))
    assert media_container.is_readable(clip, OSError(errno.EPERM, "x"))
    assert media_container.is_of_system(MemoryError(), clip)


# Sound


def mux_with_late_sound(path, container, video_start, sound_start):
    """A clip whose streams start at different times, in seconds."""
    with av.open(str(path), "w", format=container) as output:
        video, sound = output.add_stream("mpeg2video", rate=25), output.add_stream("mp2", rate=RATE, layout="mono")
        video.width, video.height = WIDTH, HEIGHT
        for i, image in enumerate(ramp(25)):
            frame = av.VideoFrame.from_ndarray(image, format="bgr24")
            frame.pts, frame.time_base = i + round(video_start * 25), Fraction(1, 25)
            output.mux(video.encode(frame))
        output.mux(video.encode(None))
        values = (tone(1) * 32767).astype(np.int16)
        for at in range(0, len(values) - 1151, 1152):
            frame = av.AudioFrame.from_ndarray(values[None, at : at + 1152], format="s16", layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = RATE, at + round(sound_start * RATE), Fraction(1, RATE)
            output.mux(sound.encode(frame))
        output.mux(sound.encode(None))
    return path


@pytest.mark.parametrize("container", ["matroska", "mpegts"])
@pytest.mark.parametrize(("video_start", "sound_start"), [(1.0, 1.6), (1.0, 1.0), (1.6, 1.0)])
def test_sound_and_picture_share_the_origin(tmp_path, container, video_start, sound_start):
    path = mux_with_late_sound(tmp_path / "late", container, video_start, sound_start)
    extract_wav(path, tmp_path / "a.wav")
    start = np.argmax(np.abs(read_wav(tmp_path / "a.wav").astype(int)) > 2000) / RATE
    first_frame = scan_frames(path).times_seconds[0]
    # Codecs shift the sound by up to a packet (72 ms); ffmpeg forgetting the late start would be 600 ms off.
    assert start - first_frame == pytest.approx(sound_start - video_start, abs=0.08)
    assert min(start, first_frame) == pytest.approx(0, abs=0.08)


def test_stereo_of_another_rate_becomes_mono_16_khz(tmp_path):
    left, right = np.sin(2 * np.pi * 500 * np.arange(44100) / 44100), np.zeros(44100)
    stereo = (np.stack([left, right], axis=1) * 16000).astype("<i2")
    path = tmp_path / "s.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(44100)
        file.writeframes(stereo.tobytes())
    assert extract_wav(path, tmp_path / "a.wav") == Sound(RATE, "")
    samples = read_wav(tmp_path / "a.wav").astype(float)
    spectrum = np.abs(np.fft.rfft(samples))
    assert spectrum.argmax() == 500
    assert np.abs(samples).max() == pytest.approx(8000, rel=0.02)  # the mean of a channel and silence


# Prefetching


def test_prefetch_keeps_order_and_runs_ahead_no_further_than_asked():
    made = []

    def items():
        for i in range(50):
            made.append(i)
            yield i

    ahead = prefetch(items(), 3)
    seen = []
    for item in ahead:
        seen.append(item)
        assert len(made) <= len(seen) + 3 + 2  # in the queue, one being put, one being made
    assert seen == list(range(50))


def test_prefetch_raises_what_the_iterator_raised_after_its_items():
    def items():
        yield 1
        raise MediaError("decode_error", "broken at 2")

    ahead = prefetch(items(), 4)
    assert next(ahead) == 1
    with pytest.raises(MediaError, match="broken at 2"):
        next(ahead)


def test_prefetch_stops_its_thread_and_closes_when_the_consumer_stops():
    closed = threading.Event()

    def items():
        try:
            while True:
                yield 1
        finally:
            closed.set()

    before = threading.active_count()
    ahead = prefetch(items(), 2)
    assert next(ahead) == 1
    ahead.close()
    assert closed.is_set()
    assert threading.active_count() == before


def test_prefetch_refuses_no_depth():
    with pytest.raises(ValueError, match="depth is 0 items"):
        prefetch([], 0)


def test_prefetched_frames_are_the_frames(clip):
    table = scan_frames(clip)
    reader = read_frames(clip, table)
    assert [frame.index for frame in prefetch(reader, 2)] == list(range(25))
    assert (reader.num_frames, reader.message) == (25, "")


def test_images_that_are_held_are_not_written_over(clip):
    table = scan_frames(clip)
    expected = [frame.image.copy() for frame in read_frames(clip, table)]
    held, views = {}, {}
    for frame in prefetch(read_frames(clip, table), 2):
        if frame.index % 3 == 0:
            held[frame.index] = frame
        elif frame.index % 3 == 1:
            views[frame.index] = frame.image[10:20, ::2]
    assert len(held) + len(views) == 17
    for index, frame in held.items():
        np.testing.assert_array_equal(frame.image, expected[index])
    for index, view in views.items():
        np.testing.assert_array_equal(view, expected[index][10:20, ::2])
    every = [frame.image for frame in read_frames(clip, table)]  # more than are used again
    np.testing.assert_array_equal(every, expected)


# Real clips: statuses by INDEX.md's columns (no streams and 0 s: unreadable; "none": no such stream; 0 fps: cover art)


def indexed(folder):
    for line in (folder / "INDEX.md").read_text().splitlines():
        cells = [cell.strip() for cell in line.split("|")[1:-1]]
        if len(cells) > 7 and cells[0].startswith("odd/"):
            unreadable = float(cells[1]) == 0
            picture = "no_stream" if cells[2] == "none" or " 0 fps" in cells[2] else "ok"
            sound = "no_stream" if cells[3] == "none" else "ok"
            yield folder / cells[0], *(("decode_error",) * 2 if unreadable else (picture, sound))


def test_every_odd_clip_has_the_status_its_index_implies(media, tmp_path):
    seen = 0
    for path, picture, sound in indexed(media):
        found = {}
        for kind, attempt in (
            ("picture", lambda p: scan_frames(p)),
            ("sound", lambda p: extract_wav(p, tmp_path / "a.wav")),
        ):
            try:
                attempt(path)
                found[kind] = "ok"
            except MediaError as error:
                found[kind] = error.status
        assert (path.name, found) == (path.name, {"picture": picture, "sound": sound})
        seen += 1
    assert seen >= 60


def test_a_stream_can_be_asked_for(media, tmp_path):
    two = media / "odd" / "two_audio_tracks.mp4"
    sounds = []
    for stream in (None, 0, 1):
        extract_wav(two, tmp_path / "sound.wav", stream=stream)
        sounds.append((tmp_path / "sound.wav").read_bytes())
    assert sounds[0] == sounds[1] != sounds[2]
    with pytest.raises(MediaError, match=r"audio stream 2 was asked for; the file has 2, from 0"):
        extract_wav(two, tmp_path / "sound.wav", stream=2)

    many = media / "odd" / "nasa_multistream.mp4"
    tables = [scan_frames(many, stream=stream) for stream in (0, 1)]
    assert tables[0].width != tables[1].width
    for stream, table in enumerate(tables):
        reader = read_frames(many, table, threads=1, stream=stream)
        assert next(reader).image.shape[1] == table.width
        reader.close()
    with pytest.raises(MediaError, match=r"video stream 2 was asked for; the file has 2, from 0"):
        scan_frames(many, stream=2)
