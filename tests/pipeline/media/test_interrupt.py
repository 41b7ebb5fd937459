"""One Ctrl-C ends a run at once, wherever in a long clip it is: in its packets, its sound, or before its frames."""

import os
import signal
import struct
import subprocess
import sys
import threading
import wave

import av
import numpy as np
import pytest

from pipeline.media import cut_table, extract_wav, prefetch, read_frames, scan_frames, write_clip
from pipeline.media.clip_timeline import read_timeline
from pipeline.media.cutting import Cut
from pipeline.media.sound.straightening import copy_sound
from pipeline.media.timeline import Timeline
from tests.pipeline.conftest import ROOT

SETTINGS = """
[dataset]
videos = videos
train = train.csv
validation =
test =
[store]
root = store
[run]
root = runs
device = cpu
[embeddings]
weights = random
"""
RATE = 25
INTERRUPTED_AT = 1000  # packets
# The run itself. In the pass asked for, Ctrl-C is pressed: all processes of the terminal get the signal.
RUN = f"""
import os, signal
from pipeline.media import container
import pipeline.media.{{module}} as module

def interrupted(*arguments):
    for count, packet in enumerate(container.packets(*arguments)):
        if count % {INTERRUPTED_AT} == 0:
            print(count, flush=True)
        if count == {INTERRUPTED_AT}:
            os.killpg(os.getpgrp(), signal.SIGINT)
        yield packet

module.packets = interrupted
import luigi.cmdline
luigi.cmdline.luigi_run(["--module", "pipeline.tasks", "Features"])
"""


def write_long_film(path, num_frames):
    """Write gray pictures of 32 x 32 at 25 a second: one of VP8 that says all, then as often "the same again"."""
    with av.open(str(path), "w", format="ivf") as container:
        stream = container.add_stream("libvpx", rate=RATE)
        stream.width, stream.height, stream.pix_fmt = 32, 32, "yuv420p"
        stream.options = {"auto-alt-ref": "0", "lag-in-frames": "0"}
        for index in range(3):
            frame = av.VideoFrame.from_ndarray(np.full((32, 32, 3), 128, np.uint8), format="rgb24")
            frame.pts = index
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    content = path.read_bytes()
    header, at, frames = content[:32], 32, []
    while at < len(content):
        (size,) = struct.unpack_from("<I", content, at)
        frames.append(content[at + 12 : at + 12 + size])
        at += 12 + size
    first, again = frames[0], frames[-1]
    kind = np.dtype([("size", "<u4"), ("time", "<u8"), ("data", f"V{len(again)}")])
    rest = np.empty(num_frames - 1, kind)
    rest["size"], rest["time"] = len(again), np.arange(1, num_frames)
    rest["data"] = np.frombuffer(again, f"V{len(again)}")
    path.write_bytes(header + struct.pack("<IQ", len(first), 0) + first + rest.tobytes())


def write_long_sound(path, num_samples):
    """Write silence as a file that takes no room on the disk."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16000)
        file.setnframes(num_samples)
        file.writeframes(b"\0\0")
    header = bytearray(path.read_bytes()[:44])
    struct.pack_into("<I", header, 4, 36 + 2 * num_samples)
    struct.pack_into("<I", header, 40, 2 * num_samples)
    path.write_bytes(header)
    os.truncate(path, 44 + 2 * num_samples)


@pytest.mark.parametrize(
    ("module", "stage"), [("scanning", "frames"), ("sound.decoding", "wav"), ("decoding", "faces")]
)
def test_one_ctrl_c_ends_a_run_within_a_long_clip(tmp_path, module, stage):
    total = 40_000
    (tmp_path / "videos" / "clip").mkdir(parents=True)
    # Of a recording that cannot be sought in, all that is before the part is decoded before the first frame is there.
    times = f"{total / RATE - 2},{total / RATE - 1}" if stage == "faces" else ""
    columns = "start,end,arousal,valence" if times else "arousal,valence"
    values = ",".join(filter(None, [times, "0.5,0.5"]))
    (tmp_path / "train.csv").write_text(f"video,utterance,{columns}\nclip,utterance_1,{values}\n")
    (tmp_path / "mine.cfg").write_text(SETTINGS)
    if stage == "wav":
        write_long_sound(tmp_path / "videos" / "clip" / "utterance_1.wav", 2048 * total)
    else:
        write_long_film(tmp_path / "videos" / ("clip.ivf" if times else "clip/utterance_1.ivf"), total)
    ended = subprocess.run(
        [sys.executable, "-c", RUN.format(module=module)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "LUIGI_CONFIG_PATH": "mine.cfg"},
        capture_output=True,
        text=True,
        start_new_session=True,
        check=False,
    )
    assert ended.returncode == -signal.SIGINT, ended.stderr
    assert "stopped: finished work is kept, and the same command continues from there" in ended.stderr
    assert "Traceback" not in ended.stderr
    reached = [int(line) for line in ended.stdout.split()]
    assert INTERRUPTED_AT in reached
    assert max(reached) < total / 2
    left = [path for path in (tmp_path / "store").rglob("*") if path.is_file()]
    assert [path.name for path in left if path.name.startswith(".") or path.suffix in (".wav", ".partial")] == [".lock"]
    assert not list((tmp_path / "store" / stage).glob("*/*.h5"))


def test_prefetch_tells_who_makes_an_item_that_nobody_waits_for_it():
    stopping, told = threading.Event(), []

    def make():
        yield 1
        told.append(stopping.wait(60))
        yield 2

    items = prefetch(make(), 1, stopping)
    assert next(items) == 1
    items.close()
    assert told == [True]


def test_every_pass_ends_when_it_is_told_to(tmp_path):
    clip = tmp_path / "clip.mp4"
    write_clip(clip, [np.full((48, 64, 3), 9 * i, np.uint8) for i in range(25)], frame_rate=25,
               samples=np.zeros(16000, np.float32), sample_rate=16000)  # fmt: skip
    table = scan_frames(clip)
    part = cut_table(table, Cut(0.5, 0.9))
    stopping = threading.Event()
    stopping.set()
    passes = [
        lambda: extract_wav(clip, tmp_path / "out.wav", stopping=stopping),
        lambda: read_timeline(clip, stopping),
        lambda: copy_sound(clip, 0, Timeline(()), tmp_path / "out.nut", stopping),
        lambda: next(read_frames(clip, table, stopping=stopping)),
        lambda: next(read_frames(clip, part, start_seconds=0.5, stopping=stopping)),
    ]
    for run in passes:
        with pytest.raises(InterruptedError, match=r"the work was stopped: .*clip\.mp4"):
            run()
    stopping.clear()
    frames = read_frames(clip, table, stopping=stopping)
    assert next(frames).index == 0
    stopping.set()
    with pytest.raises(InterruptedError):
        list(frames)
