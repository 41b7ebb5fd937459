"""Files made to harm: none reaches out of itself, none keeps the process busy for ever, each ends in a status."""

import os
import struct
import subprocess
import sys
import threading

import av
import numpy as np
import pytest

from pipeline.media import MediaError, extract_wav, read_frames, scan_frames, write_clip
from pipeline.media.container import CLIP_FORMATS, LOCAL_FILES_ONLY, packets
from pipeline.media.mp4_index import count_claimed_samples

RATE = 16000
NO_CLIP = "ffmpeg cannot open the file: it is of a format that is no clip"


@pytest.fixture
def clip(tmp_path):
    """One second: 25 frames and a tone."""
    path = tmp_path / "clip.mp4"
    tone = (0.5 * np.sin(2 * np.pi * 440 * np.arange(RATE) / RATE)).astype(np.float32)
    write_clip(path, [np.full((48, 64, 3), 9 * i, np.uint8) for i in range(25)], frame_rate=25, samples=tone,
               sample_rate=RATE)  # fmt: skip
    return path


TEXTS = {
    "sbg": "base: 200+10/10\noff: -\n00:00 base ->\n23:59 off\n",
    "hls": "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nclip.mp4\n#EXT-X-ENDLIST\n",
    "concat": "ffconcat version 1.0\nfile 'clip.mp4'\n",
    "vobsub": "# VobSub index file, v7 (do not modify this line!)\nid: en, index: 0\n",
    "ass": "[Script Info]\nScriptType: v4.00+\n[Events]\n",
    "sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\n",
}


@pytest.mark.parametrize("kind", TEXTS)
def test_texts_that_name_others_or_make_sound_are_not_opened(clip, tmp_path, kind):
    path = clip.with_name("text.m3u8" if kind == "hls" else "text.mp4")
    path.write_text(TEXTS[kind])
    clip.with_name("text.sub").write_bytes(b"\0" * 99)  # a VobSub index opens its neighbour of this name
    for attempt in (lambda: scan_frames(path), lambda: extract_wav(path, tmp_path / "a.wav")):
        with pytest.raises(MediaError, match=NO_CLIP) as caught:
            attempt()
        assert caught.value.status == "decode_error"


def test_every_format_of_the_list_is_one_that_ffmpeg_has():
    known = {name for format_name in av.formats_available for name in format_name.split(",")}
    assert set(CLIP_FORMATS) - known == set()
    assert not {"sbg", "concat", "hls", "dash", "image2", "vobsub", "tty", "lavfi", "mlv"} & set(CLIP_FORMATS)
    assert LOCAL_FILES_ONLY["protocol_whitelist"] == "file"


def replace_boxes(content, new):
    """Return the boxes of an MP4 file with the content of some of them replaced."""
    given, at = b"", 0
    while at < len(content):
        (size,), name = struct.unpack(">I", content[at : at + 4]), content[at + 4 : at + 8]
        body = content[at + 8 : at + size]
        if name in (b"moov", b"trak", b"mdia", b"minf", b"stbl"):
            body = replace_boxes(body, new)
        body = new.get(name, body)
        given += struct.pack(">I", len(body) + 8) + name + body
        at += size
    return given


def test_an_index_of_more_packets_than_the_file_has_bytes_ends(tmp_path):
    path = tmp_path / "endless.mp4"
    write_clip(path, [np.full((48, 64, 3), 9 * i, np.uint8) for i in range(25)], frame_rate=25, samples=None,
               sample_rate=RATE)  # fmt: skip
    with av.open(str(path)) as container:
        where = next(packet.pos for packet in container.demux() if packet.size)
    chunks, samples = 300, 1000  # in each chunk, a byte each, and all chunks at one place
    tables = {
        b"stsz": [0, 1, chunks * samples],
        b"stts": [0, 1, chunks * samples, 512],
        b"stsc": [0, 1, 1, samples, 1],
        b"stco": [0, chunks, *[where] * chunks],
        b"ctts": [0, 0],
        b"stss": [0, 0],
    }
    new = {name: struct.pack(f">{len(values)}I", *values) for name, values in tables.items()}
    path.write_bytes(replace_boxes(path.read_bytes(), new) + bytes(samples))
    size = path.stat().st_size
    with av.open(str(path)) as container:
        assert container.streams.video[0].frames == chunks * samples
        with pytest.raises(MediaError, match=f"the index gives more than a file of {size} bytes can hold"):
            list(packets(container, container.streams.video[0], lambda error: None))
    with pytest.raises(MediaError, match=f"the index gives more than a file of {size} bytes can hold") as caught:
        scan_frames(path)
    assert caught.value.status == "decode_error"


BOMB = """
import re, sys
from pathlib import Path
from pipeline.media import MediaError, scan_frames
try:
    scan_frames(Path(sys.argv[1]))
except MediaError as error:
    print(error.status, error)
# Not the system's own account of a process, which begins with the memory of the one that started it.
print(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1])
"""


@pytest.mark.parametrize("table", [b"stsz", b"trun"])
def test_an_index_of_more_than_the_file_can_hold_takes_no_memory(tmp_path, table):
    path = tmp_path / "bomb.mp4"
    fragments = {"movflags": "frag_keyframe+empty_moov"} if table == b"trun" else {}
    with av.open(str(path), "w", options=fragments) as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for value in range(5):
            picture = np.full((48, 64, 3), 20 * value, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    data = bytearray(path.read_bytes())
    claimed = 80_000_000
    if table == b"trun":
        at = data.index(b"trun")
        struct.pack_into(">II", data, at + 4, 1, claimed)  # an offset, and nothing for each sample
    else:
        struct.pack_into(">II", data, data.index(b"stsz") + 8, 1, claimed)
        struct.pack_into(">II", data, data.index(b"stts") + 12, claimed, 1)
        struct.pack_into(">I", data, data.index(b"stsc") + 16, claimed)
    path.write_bytes(data)
    ended = subprocess.run([sys.executable, "-c", BOMB, path], capture_output=True, text=True, check=True)
    told, memory = ended.stdout.splitlines()
    assert told == f"decode_error the index gives more than a file of {len(data)} bytes can hold; it is damaged"
    assert int(memory) < 400 << 10  # kB


def test_the_samples_of_ordinary_files_are_counted(clip, tmp_path):
    with av.open(str(clip)) as container:
        held = sum(packet.size > 0 for packet in container.demux())
    with clip.open("rb") as file:
        assert count_claimed_samples(file) == held
    (tmp_path / "text").write_bytes(b"no film at all")
    with (tmp_path / "text").open("rb") as file:
        assert count_claimed_samples(file) == 0


def test_pipes_folders_and_devices_are_no_clips(tmp_path):
    pipe = tmp_path / "pipe.mp4"
    os.mkfifo(pipe)
    for path in (pipe, tmp_path):
        results = []

        def attempt(path=path, results=results):
            try:
                scan_frames(path)
            except MediaError as error:
                results.append((error.status, str(error)))

        thread = threading.Thread(target=attempt, daemon=True)  # one that waits for a writer would wait for ever
        thread.start()
        thread.join(timeout=60)
        assert results == [("decode_error", "this is not a regular file but a folder, pipe, socket or device")]


@pytest.mark.parametrize("milliseconds", [3e9, -5e6, float("inf"), float("nan")])
def test_a_claimed_duration_changes_nothing_of_the_picture(clip, tmp_path, milliseconds):
    path = tmp_path / "clip.mkv"
    with av.open(str(clip)) as source, av.open(str(path), "w") as target:
        film = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = film
                target.mux(packet)
    expected = scan_frames(path)
    content = bytearray(path.read_bytes())
    at = content.index(b"\x44\x89\x88") + 3  # Matroska's element Duration, 8 bytes
    content[at : at + 8] = struct.pack(">d", milliseconds)
    path.write_bytes(content)
    table = scan_frames(path)
    np.testing.assert_array_equal(table.times_seconds, expected.times_seconds)
    assert len(list(read_frames(path, table))) == 25
