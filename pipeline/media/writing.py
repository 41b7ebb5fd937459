"""Writing small clips: H.264 and AAC in MP4, for synthetic data sets and tests."""

from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from store.files import replacing

AAC_BLOCK = 1024  # samples per AAC packet
QUALITY_CRF = "20"  # x264's scale from 0 (lossless) to 51: 20 keeps faces and mouths crisp


def write_clip(
    target: Path,
    frames: Iterable[np.ndarray],
    *,
    frame_rate: float,
    samples: np.ndarray | None,
    sample_rate: int,
) -> None:
    """Write frames and sound as an MP4 file with H.264 and AAC; the same input gives the same bytes.

    The file gets its name only when it is complete; an existing file is replaced. Odd widths and heights are kept (the
    chroma planes are then not subsampled).

    Args:
        target: the file to write; its folder exists. The container is MP4, whatever the name's ending is.
        frames: at least one (H, W, 3) uint8 image in BGR, all of one size; read one at a time.
        frame_rate: in frames per second, above 0.
        samples: (N,) float32 mono in [-1, 1], values outside are clipped; None for a clip without sound.
        sample_rate: sample rate of `samples`, in Hz.

    Raises:
        ValueError: if there are no frames, or frames of another shape or dtype, or a rate that is not above 0.
    """
    if not (np.isfinite(frame_rate) and frame_rate > 0):
        raise ValueError(f"frame_rate is {frame_rate} frames/s; it must be a finite number above 0")
    if samples is not None and (samples.ndim != 1 or sample_rate <= 0):
        raise ValueError(f"samples have shape {samples.shape} at {sample_rate} Hz; expected (N,) and a rate above 0 Hz")
    with replacing(target) as partial:
        _write(partial, frames, Fraction(frame_rate).limit_denominator(60000), samples, sample_rate)


def _write(
    path: Path, frames: Iterable[np.ndarray], rate: Fraction, samples: np.ndarray | None, sample_rate: int
) -> None:
    """Encode everything into `path`, sound and pictures interleaved in order of time."""
    images = iter(frames)
    first = _checked(next(images, None), None)
    height, width = first.shape[:2]
    with av.open(f"file:{path}", "w", format="mp4", container_options={"fflags": "+bitexact"}) as container:
        video = container.add_stream("libx264", rate=rate)
        video.width, video.height = width, height
        video.pix_fmt = "yuv420p" if width % 2 == height % 2 == 0 else "yuv444p"
        video.options = {"crf": QUALITY_CRF, "preset": "veryfast", "flags": "+bitexact"}
        video.codec_context.thread_count = 1  # it is written into the stream, so not the machine's
        audio = None
        blocks: Iterator[tuple[float, av.AudioFrame]] = iter(())
        if samples is not None:
            audio = container.add_stream("aac", rate=sample_rate, layout="mono", options={"flags": "+bitexact"})
            blocks = _audio_blocks(samples, sample_rate)
        pending = next(blocks, None)
        for index, image in enumerate(_chain(first, images)):
            frame = av.VideoFrame.from_ndarray(image, format="bgr24")
            frame.pts, frame.time_base = index, 1 / rate
            container.mux(video.encode(frame))
            while audio is not None and pending is not None and pending[0] <= (index + 1) / rate:
                container.mux(audio.encode(pending[1]))
                pending = next(blocks, None)
        container.mux(video.encode(None))
        while audio is not None and pending is not None:
            container.mux(audio.encode(pending[1]))
            pending = next(blocks, None)
        if audio is not None:
            container.mux(audio.encode(None))


def _chain(first: np.ndarray, rest: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
    """Yield the first image and then the others; each must have the first one's shape."""
    yield first
    for image in rest:
        yield _checked(image, first.shape)


def _checked(image: np.ndarray | None, shape: tuple[int, ...] | None) -> np.ndarray:
    """Return the image, contiguous; refuse an image that cannot be encoded."""
    if image is None:
        raise ValueError("a clip needs at least one frame; the iterable of frames is empty")
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise ValueError(f"a frame has shape {image.shape} and dtype {image.dtype}; expected (H, W, 3) uint8 in BGR")
    if shape is not None and image.shape != shape:
        raise ValueError(f"a frame has shape {image.shape}, the first one {shape}; all must have one size")
    return np.ascontiguousarray(image)


def _audio_blocks(samples: np.ndarray, sample_rate: int) -> Iterator[tuple[float, av.AudioFrame]]:
    """Yield (start in seconds, frame) of each AAC block; the last one may be short."""
    clipped = np.clip(samples, -1, 1).astype(np.float32)  # (N,)
    for start in range(0, len(clipped), AAC_BLOCK):
        block = np.ascontiguousarray(clipped[start : start + AAC_BLOCK])[None]  # (1, <= 1024): planes, samples
        frame = av.AudioFrame.from_ndarray(block, format="fltp", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = sample_rate, start, Fraction(1, sample_rate)
        yield start / sample_rate, frame
