"""The inputs of a declared feature's network: pieces of a clip's faces or sound, batch by batch."""

import contextlib
import math
import threading
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import soundfile

from pipeline import media
from pipeline.dataset.overrides import parse_text
from pipeline.settings.features import STORED_RATE, Feature, find_windows
from pipeline.stages.frames import FRAMES_AHEAD, open_frames, read_kept_frames, read_table
from pipeline.stages.shard_job import GONE, ShardJob, UnreadableError
from store.layout import wav_path
from store.records.plans import Member

# Seconds of noise on which a network that takes a whole sound is tried.
_MADE_SECONDS = 2


@dataclass
class ClipInputs:
    """A clip's inputs, and a status that says whether all of them could be read.

    Attributes:
        batches: (times of rows in seconds, inputs), in order. Inputs are float32, (N, ...). Or they are a whole
            sound (N,); its times are None, since only the network knows the number of rows.
        status: ok, or why inputs are missing; set only after the last batch has been taken.
        message: one sentence.
    """

    batches: Iterator[tuple[np.ndarray | None, np.ndarray]]
    status: str = "ok"
    message: str = ""


@contextlib.contextmanager
def read_inputs(job: ShardJob, feature: Feature, member: Member) -> Iterator[ClipInputs]:
    """Open the inputs of a feature's network for a clip whose earlier stage is ok."""
    if feature.is_sound:
        yield ClipInputs(_cut_sound(feature, _read_sound(job, feature, member)))
        return
    if feature.input == "crop":
        yield ClipInputs(_take_crops(job, feature, member))
        return
    inputs = ClipInputs(iter(()))
    try:
        with _open_frames(job, member) as frames:
            inputs.batches = _take_regions(job, feature, member, frames, inputs)
            yield inputs
    except UnreadableError as error:
        inputs.status, inputs.message = "missing_file", str(error)


def make_inputs(feature: Feature) -> np.ndarray:
    """Make one batch of inputs on which a network is tried: the same noise every time."""
    rng = np.random.default_rng(0)
    if feature.is_sound:
        if feature.is_whole:
            return rng.normal(0, 0.1, _MADE_SECONDS * feature.sample_rate).astype(np.float32)
        window = round(feature.window_seconds * feature.sample_rate)
        return rng.normal(0, 0.1, (feature.batch_size, window)).astype(np.float32)
    width, height = feature.size
    return prepare_pictures(rng.integers(0, 256, (feature.batch_size, height, width, 3), dtype=np.uint8), feature)


def prepare_pictures(pictures: np.ndarray, feature: Feature) -> np.ndarray:
    """Bring pictures into the form that the network wants.

    Args:
        pictures: (N, h, w, 3) uint8 BGR; scaled to the feature's size if theirs differs.
        feature: the declaration.

    Returns:
        (N, 3, H, W) or (N, H, W, 3) float32, each colour minus its mean and divided by its deviation.
    """
    import cv2

    width, height = feature.size
    if pictures.shape[1:3] != (height, width):
        shrinks = width < pictures.shape[2] or height < pictures.shape[1]
        method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        pictures = np.stack([cv2.resize(picture, (width, height), interpolation=method) for picture in pictures])
    if feature.colours == "rgb":
        pictures = pictures[..., ::-1]
    values = (pictures - np.array(feature.mean, np.float32)) / np.array(feature.deviation, np.float32)
    return np.ascontiguousarray(values.transpose(0, 3, 1, 2) if feature.layout == "nchw" else values, np.float32)


def cut_region(image: np.ndarray, box: np.ndarray, size: tuple[int, int], margin: float) -> np.ndarray:
    """Cut the part of a frame around a face, in the proportions of `size`; what lies outside repeats the edge.

    Args:
        image: (H, W, 3) uint8.
        box: x1, y1, x2, y2 of the face in pixels.
        size: (width, height) of the network's input in pixels; only their ratio matters here.
        margin: how far the region reaches beyond the face on each side, as a share of the face's longer side.

    Returns:
        (h, w, 3) uint8, not scaled: pixels of the frame.
    """
    import cv2

    longer = float(max(box[2] - box[0], box[3] - box[1], 1)) * (1 + 2 * margin)
    scale = longer / min(size)
    width, height = (max(1, round(side * scale)) for side in size)
    middle = (box[:2] + box[2:]) / 2
    left, top = round(float(middle[0]) - width / 2), round(float(middle[1]) - height / 2)
    rows, columns = image.shape[:2]
    # A face may lie partly outside the frame. If it lies wholly outside, the nearest pixels of the frame are used.
    top, left = min(max(top, 1 - height), rows - 1), min(max(left, 1 - width), columns - 1)
    inside = image[max(top, 0) : top + height, max(left, 0) : left + width]
    beyond = max(-top, 0), max(top + height - rows, 0), max(-left, 0), max(left + width - columns, 0)
    return np.asarray(cv2.copyMakeBorder(inside, *beyond, cv2.BORDER_REPLICATE) if any(beyond) else inside)


def _take_crops(job: ShardJob, feature: Feature, member: Member) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    crops, times = job.rows("crops").rows(member.name, "crop"), job.rows("faces").rows(member.name, "time")
    for start in range(0, len(crops), feature.batch_size):
        part = slice(start, start + feature.batch_size)
        yield times[part], prepare_pictures(np.asarray(crops[part]), feature)


@contextlib.contextmanager
def _open_frames(job: ShardJob, member: Member) -> Iterator[Iterator[media.Frame] | None]:
    """Open a clip's frames, or the kept pixels where the clip is gone; None where both are missing."""
    table, override = read_table(job.rows("frames"), member.name), parse_text(member.override)
    with job.reading(member) as source:
        if source is not None:
            stopping = threading.Event()
            frames = open_frames(source, table, override, threads=job.run.settings.num_threads, stopping=stopping)
            with contextlib.closing(frames):
                yield media.prefetch(frames, FRAMES_AHEAD, stopping)
            return
        pixels = job.run.shard("pixels", job.shard)
        is_kept = pixels is not None and member.name in pixels and pixels.fact(member.name, "length") > 0
        yield read_kept_frames(pixels, member.name, table) if pixels is not None and is_kept else None


def _take_regions(
    job: ShardJob, feature: Feature, member: Member, frames: Iterator[media.Frame] | None, inputs: ClipInputs
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Cut the region of each of the speaker's faces; stop, with a status, at a frame that cannot be decoded."""
    faces = job.rows("faces")
    indices, boxes, times = (faces.rows(member.name, name) for name in ("frame_index", "box", "time"))
    if frames is None:
        inputs.status, inputs.message = "missing_file", GONE
        return
    regions: list[np.ndarray] = []
    done = 0
    try:
        for frame in frames:
            row = done + len(regions)
            if row == len(indices) or frame.index > indices[row]:
                break
            if frame.index == indices[row]:
                region = cut_region(frame.image, boxes[row], feature.size, feature.margin)
                regions.append(prepare_pictures(region[None], feature)[0])
            if len(regions) == feature.batch_size:
                yield times[done : done + len(regions)], np.stack(regions)
                done, regions = done + len(regions), []
    except media.MediaError as error:
        inputs.status, inputs.message = error.status, str(error)
    if regions:
        yield times[done : done + len(regions)], np.stack(regions)
        done += len(regions)
    if done < len(indices) and inputs.status == "ok":
        inputs.status = "decode_error"
        inputs.message = f"frame {indices[done]}, in which a face was found, does not decode any more"


def _read_sound(job: ShardJob, feature: Feature, member: Member) -> np.ndarray:
    """Read a clip's sound at the feature's rate, (N,) float32."""
    wav = job.rows("wav")
    path = wav_path(job.run.store, wav.fingerprint, job.shard, member.name)
    expected = wav.fact(member.name, "length")
    try:
        sound, _ = soundfile.read(path, dtype="float32")
    except soundfile.LibsndfileError as error:
        sound = None
        reason = f"cannot be read ({error.error_string})" if path.exists() else "is gone"
    else:
        reason = f"has {len(sound)} samples"
    if sound is None or len(sound) != expected:
        remedy = f"remove {path.parent.parent}.h5 to have the sound of its shard extracted again"
        raise OSError(f"{path} {reason}, {expected} were written; {remedy}")
    return resample(sound, feature.sample_rate)


def resample(sound: np.ndarray, sample_rate: int) -> np.ndarray:
    """Bring stored sound, (N,) at 16 kHz, to another rate, (M,) float32."""
    if sample_rate == STORED_RATE:
        return sound
    from scipy.signal import resample_poly

    common = math.gcd(sample_rate, STORED_RATE)
    return np.asarray(resample_poly(sound, sample_rate // common, STORED_RATE // common), np.float32)


def _cut_sound(feature: Feature, sound: np.ndarray) -> Iterator[tuple[np.ndarray | None, np.ndarray]]:
    if feature.is_whole:
        if len(sound):
            yield None, sound
        return
    window, hop = (max(1, round(s * feature.sample_rate)) for s in (feature.window_seconds, feature.hop_seconds))
    count = find_windows(len(sound), window, hop)
    if 0 < len(sound) < window:
        sound = np.pad(sound, (0, window - len(sound)))
    for start in range(0, count, feature.batch_size):
        rows = np.arange(start, min(count, start + feature.batch_size))
        yield rows * hop / feature.sample_rate, sound[(rows * hop)[:, None] + np.arange(window)]
