"""Pictures that change their size, shape, pixel shape or turn within a clip: none is squeezed, and the clip says so."""

import subprocess
from fractions import Fraction

import av
import numpy as np
import pytest

from pipeline.media import MediaError, ffmpeg_binary, read_frames, scan_frames, write_clip
from pipeline.media.shapes import AS_STORED, Shape, Upright, describe_shapes, fit_size


def square(width, height):
    """A white square in the middle of black, half as high as the shorter side."""
    image = np.zeros((height, width, 3), np.uint8)
    side = min(width, height) // 4
    image[height // 2 - side : height // 2 + side, width // 2 - side : width // 2 + side] = 255
    return image


def measure(image):
    """Width and height of what is white."""
    white = image[:, :, 1] > 128
    return int(white.any(axis=0).sum()), int(white.any(axis=1).sum())


def write_part(path, images, start, aspect=None):
    with av.open(str(path), "w", format="mpegts") as output:
        stream = output.add_stream("libx264", rate=25)
        stream.height, stream.width, stream.pix_fmt = *images[0].shape[:2], "yuv420p"
        if aspect:
            stream.codec_context.sample_aspect_ratio = aspect
        for number, image in enumerate(images):
            frame = av.VideoFrame.from_ndarray(image, format="bgr24")
            frame.pts, frame.time_base = 50 + start + number, Fraction(1, 25)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return path.read_bytes()


def join(tmp_path, sizes, count=10):
    content = b""
    for number, size in enumerate(sizes):
        content += write_part(tmp_path / "part.ts", [square(*size)] * count, number * count)
    path = tmp_path / "joined.ts"
    path.write_bytes(content)
    return path


def read(path, threads=1):
    table = scan_frames(path)
    reader = read_frames(path, table, threads=threads)
    frames = list(reader)
    assert [frame.index for frame in frames] == list(range(len(table.times_seconds)))
    assert reader.message == ""
    return table, [frame.image for frame in frames]


@pytest.mark.parametrize("threads", [1, 4])
def test_pictures_that_grow_are_of_one_size(tmp_path, threads):
    table, images = read(join(tmp_path, [(64, 48), (128, 96)]), threads)
    assert (table.width, table.height, len(images)) == (128, 96, 20)
    assert {image.shape for image in images} == {(96, 128, 3)}
    for image in images:
        np.testing.assert_allclose(measure(image), (48, 48), atol=4)
    assert table.message == (
        "the pictures change their size (64 x 48, 128 x 96); each keeps its shape, scaled to the largest"
    )


@pytest.mark.parametrize("threads", [1, 4])
def test_pictures_that_turn_keep_their_shape(tmp_path, threads):
    table, images = read(join(tmp_path, [(128, 96), (96, 128), (128, 72)]), threads)
    assert (table.width, table.height) == (128, 96)
    assert [image.shape[:2] for image in images[::10]] == [(96, 128), (128, 96), (72, 128)]
    for image in images:
        wide, high = measure(image)
        assert abs(wide - high) <= 2


def test_a_larger_picture_far_into_a_clip_is_found(tmp_path):
    table, images = read(join(tmp_path, [(64, 48)] * 12 + [(128, 96)]))
    assert (table.width, table.height, len(images)) == (128, 96, 130)


def test_pixels_that_change_their_shape_become_square(tmp_path):
    content = write_part(tmp_path / "a.ts", [square(64, 48)] * 10, 0)
    narrow = np.ascontiguousarray(square(128, 48)[:, ::2])  # each stored pixel is two wide
    content += write_part(tmp_path / "b.ts", [narrow] * 10, 10, aspect=Fraction(2, 1))
    path = tmp_path / "joined.ts"
    path.write_bytes(content)
    table, images = read(path)
    assert (table.width, table.height, table.sample_aspect_ratio) == (128, 48, 1.0)
    for image in images:
        wide, high = measure(image)
        assert abs(wide - high) <= 2


def test_a_turn_that_changes_midway_is_each_pictures_own(tmp_path):
    corners = np.zeros((96, 128, 3), np.uint8)
    corners[:48, :64] = 255  # white where up and left is, upright
    stored = np.ascontiguousarray(np.rot90(corners))  # to be turned clockwise
    write_part(tmp_path / "a.ts", [corners] * 10, 0)
    write_part(tmp_path / "b.ts", [stored] * 10, 10)
    turn = "h264_metadata=display_orientation=insert:rotate=270"
    command = [ffmpeg_binary(), "-v", "error", "-copyts", "-i", "b.ts", "-c", "copy", "-bsf:v", turn, "-muxdelay", "0"]
    subprocess.run([*command, "c.ts"], check=True, cwd=tmp_path)
    path = tmp_path / "joined.ts"
    path.write_bytes((tmp_path / "a.ts").read_bytes() + (tmp_path / "c.ts").read_bytes())
    table, images = read(path)
    assert (table.width, table.height, table.rotation_degrees) == (128, 96, 0)
    assert "the pictures change their turn (0, 90 degrees); each is made upright by its own" in table.message
    assert len(images) == 20
    for image in images:
        assert image.shape == (96, 128, 3)
        assert image[4:40, 4:56].mean() > 200
        assert image[60:].mean() < 50


@pytest.mark.parametrize(
    ("size", "box", "fitted"),
    [
        ((128, 96), (128, 96), (128, 96)),
        ((320, 181), (1280, 720), (1280, 720)),  # 1 % off
        ((320, 176), (1280, 720), (1280, 704)),
        ((1920, 1080), (1280, 720), (1280, 720)),
        ((1, 400), (1280, 720), (3, 1280)),
        ((4000, 1), (1280, 720), (1280, 1)),
    ],
)
def test_sizes_that_fit(size, box, fitted):
    assert fit_size(size, box) == fitted


def test_of_many_sizes_a_few_are_named():
    many = [Shape(16 * side, 16, 1.0, AS_STORED) for side in (1, 2, 1, 3, 4, 5, 6)]
    assert "(16 x 16, 32 x 16, 48 x 16, 64 x 16 and 2 more)" in describe_shapes(many)
    assert describe_shapes(many[:1] * 3) == ""
    half = Shape(16, 16, 1.0, Upright(False, True, True))
    assert describe_shapes([many[0], half]) == (
        "the pictures change their turn (0, 180 degrees); each is made upright by its own"
    )


def test_pictures_of_too_many_pixels_are_a_decode_error(tmp_path):
    small, grown = join(tmp_path, [(64, 48)]), tmp_path / "grown.ts"
    assert scan_frames(small, most_pixels=64 * 48).width == 64
    words = r"the pictures have 64 x 48 pixels, more than \[frames\] max_pixels = 3071 allows; make the clip smaller"
    with pytest.raises(MediaError, match=words) as caught:
        scan_frames(small, most_pixels=64 * 48 - 1)
    assert caught.value.status == "decode_error"
    join(tmp_path, [(64, 48), (128, 96)]).rename(grown)
    with pytest.raises(MediaError, match=r"the pictures have 128 x 96 pixels, more than .* = 12287 allows"):
        scan_frames(grown, most_pixels=128 * 96 - 1)
    # As upright pictures with square pixels, too.
    wide = tmp_path / "wide.ts"
    write_part(wide, [square(64, 48)] * 10, 0, aspect=Fraction(4, 1))
    with pytest.raises(MediaError, match=r"the pictures have 256 x 48 pixels, more than .* = 4000 allows"):
        scan_frames(wide, most_pixels=4000)


@pytest.mark.parametrize("turn", [0, 90, 180, 270])
def test_a_turn_comes_after_what_the_file_says(turn, tmp_path):
    image = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
    for number in range(8):
        upright = Upright(number & 4 > 0, flip_x=number & 2 > 0, flip_y=number & 1 > 0)
        expected = np.rot90(upright.turn(image), -turn // 90)
        assert (upright.then(turn).turn(image) == expected).all()
    picture = np.zeros((48, 64, 3), np.uint8)
    picture[:20, :30] = (200, 120, 40)
    write_clip(tmp_path / "clip.mp4", [picture] * 3, frame_rate=25, samples=None, sample_rate=16000)
    table = scan_frames(tmp_path / "clip.mp4", turn_degrees=turn)
    plain = [f.image.copy() for f in read_frames(tmp_path / "clip.mp4", scan_frames(tmp_path / "clip.mp4"))]
    turned = [f.image.copy() for f in read_frames(tmp_path / "clip.mp4", table, turn_degrees=turn)]
    assert (table.width, table.height) == ((48, 64) if turn in (90, 270) else (64, 48))
    assert table.rotation_degrees == turn
    assert all((one == np.rot90(other, -turn // 90)).all() for one, other in zip(turned, plain, strict=True))
