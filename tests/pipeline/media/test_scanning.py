"""Frame tables of files that are odd and whole: what they do is no damage, and no message says so."""

import struct
import subprocess
from fractions import Fraction

import av
import numpy as np
import pytest

from pipeline.media import ffmpeg_binary, read_frames, scan_frames


def write_film(path, images, codec="libx264", gop=10, rate=25, **options):
    with av.open(str(path), "w") as output:
        stream = output.add_stream(codec, rate=rate, **options)
        stream.height, stream.width, stream.pix_fmt = *images[0].shape[:2], "yuv420p"
        stream.codec_context.gop_size = gop
        for number, image in enumerate(images):
            frame = av.VideoFrame.from_ndarray(image, format="bgr24")
            frame.pts, frame.time_base = number, Fraction(1, rate)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))


@pytest.mark.parametrize("threads", [1, 4])
def test_empty_packets_show_the_same_picture_again(tmp_path, threads):
    path = tmp_path / "still.ogv"
    levels = [60] * 10 + [200] * 10
    write_film(tmp_path / "film.mkv", [np.full((48, 64, 3), level, np.uint8) for level in levels], codec="ffv1")
    command = [ffmpeg_binary(), "-v", "error", "-i", "film.mkv", "-c:v", "libtheora", path.name]
    if subprocess.run(command, cwd=tmp_path, check=False).returncode:
        pytest.skip("this ffmpeg has no Theora encoder; the one of imageio-ffmpeg has")
    with av.open(str(path)) as container:
        sizes = [packet.size for packet in container.demux(video=0) if packet.dts is not None]
    assert len(sizes) == 20
    assert sizes.count(0) >= 10
    table = scan_frames(path)
    reader = read_frames(path, table, threads=threads)
    frames = list(reader)
    assert [frame.index for frame in frames] == list(range(20))
    np.testing.assert_allclose([frame.image.mean() for frame in frames], levels, atol=8)
    assert (table.message, reader.message, reader.num_bad_packets) == ("", "", 0)


def end_edit_list(content, ticks):
    """Let the only entry of an MP4 file's edit list last so many ticks of the movie's clock."""
    at = content.index(b"elst") + 12  # behind the name, version, flags and number of entries
    assert content[at - 4 : at] == struct.pack(">I", 1)
    return content[:at] + struct.pack(">I", ticks) + content[at + 4 :]


@pytest.mark.parametrize(("kept", "frames"), [(1000, 25), (400, 10), (1960, 49)])
def test_an_edit_list_that_trims_the_end_is_no_damage(tmp_path, kept, frames):
    path = tmp_path / "trimmed.mp4"
    write_film(path, [np.full((48, 64, 3), 4 * number, np.uint8) for number in range(50)])
    path.write_bytes(end_edit_list(path.read_bytes(), kept))  # of 2000: its clock ticks in milliseconds
    table = scan_frames(path)
    reader = read_frames(path, table)
    assert len(list(reader)) == len(table.times_seconds) == frames
    assert (table.num_frames_listed, table.message, reader.message) == (50, "", "")
