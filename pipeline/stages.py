"""What each stage does to a shard: the clips one after the other, each with its status, into one file of the store."""

import contextlib
import functools
import shutil
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import soundfile
import torch

from models.mtcnn import Mtcnn
from models.mtcnn_networks import load_networks
from models.paper import FEATURE_SIZE, SAMPLE_RATE
from models.sphereface import SphereFace20, build_sphereface, embed_crops, prepare_embedder
from pipeline import audio, config, media
from pipeline.errors import TransientError
from pipeline.faces import SpeakerFaces, find_speaker
from pipeline.plan import Member
from pipeline.run import Run, compute_file_digest
from store.layout import wav_path
from store.shard import Shard
from store.writer import ShardWriter, UtteranceRows

_GONE = "the file was gone, or another one than planned, when it was to be read"
# Frames decoded ahead of the detector, and blocks of STFT rows or crops held at once: bounds on memory.
_FRAMES_AHEAD = 8
_ROWS_AT_ONCE = 1024


@dataclass(frozen=True)
class ShardJob:
    """One stage of one shard.

    Args:
        run: The run it belongs to.
        shard: The shard's id.
        tick: Called after each clip.
    """

    run: Run
    shard: str
    tick: Callable[[], None] = lambda: None

    @property
    def members(self) -> tuple[Member, ...]:
        """The shard's clips, in the order of their names."""
        return self.run.plan.shards[self.shard].members

    def writer(self, stage: str, beside: str | None = None) -> ShardWriter:
        """Open the file of a stage, or of what is kept `beside` it, for writing."""
        return ShardWriter(
            self.run.path(beside or stage, self.shard),
            stage=beside or stage,
            shard=self.shard,
            fingerprint=self.run.fingerprints[stage],
            provenance=self.run.describe(stage),
            scratch=scratch_folder(),
        )

    def missing_writer(self, stack: contextlib.ExitStack, stage: str, beside: str | None = None) -> ShardWriter | None:
        """Open a file for writing unless it is there: a stage of several files may have been stopped between them."""
        if self.run.path(beside or stage, self.shard).exists():
            return None
        return stack.enter_context(self.writer(stage, beside))

    def rows(self, stage: str) -> Shard:
        """Open the file of an earlier stage."""
        rows = self.run.shard(stage, self.shard)
        if rows is None:
            raise TransientError(f"{self.run.path(stage, self.shard)} is not there any more; run again")
        return rows

    @contextlib.contextmanager
    def reading(self, member: Member) -> Iterator[Path | None]:
        """Give a member's clip, None where it is gone; fail when it changes meanwhile, so that no mixture is kept."""
        source = self.run.find_source(self.shard, member)
        if source is None and not self.run.videos.is_dir():
            raise TransientError(f"{self.run.videos} is not there any more; mount it and run again")
        yield source
        if source is not None and self.run.find_source(self.shard, member) != source:
            raise TransientError(f"{source} changed while it was read; run again when it is at rest")


def scratch_folder() -> Path | None:
    """Give `[run] scratch`; None for the place of the file itself."""
    return Path(config.run().scratch) if config.run().scratch else None


def extract_wav(job: ShardJob) -> None:
    """Turn the shard's clips into WAV files (paper II-A), several at a time: ffmpeg does the work."""
    fingerprint = job.run.fingerprints["wav"]

    def extract(member: Member) -> tuple[str, str, str, int]:
        target = wav_path(job.run.store, fingerprint, job.shard, member.name)
        target.parent.mkdir(parents=True, exist_ok=True)
        with job.reading(member) as source:
            if source is None:
                return "missing_file", _GONE, "", 0
            digest = compute_file_digest(source)
            try:
                ffmpeg = config.audio().ffmpeg or None
                return "ok", "", digest, media.extract_wav(source, target, sample_rate=SAMPLE_RATE, ffmpeg=ffmpeg)
            except media.MediaError as error:
                return error.status, str(error), digest, 0

    with ThreadPoolExecutor(config.number_of_threads()) as pool, job.writer("wav") as writer:
        for member, (status, message, digest, num_samples) in zip(
            job.members, pool.map(extract, job.members), strict=True
        ):
            with writer.utterance(member.name, source_sha256=digest) as rows:
                rows.set_status(status, message)
                rows.length = num_samples
            job.tick()


def compute_stft(job: ShardJob) -> None:
    """Transform the shard's WAV files (paper II-A)."""
    wav = job.rows("wav")
    with job.writer("stft") as writer:
        for name in wav.names:
            with writer.utterance(name, source_sha256=wav.fact(name, "source_sha256")) as rows:
                if _carry_on(wav, rows):
                    path = wav_path(job.run.store, wav.fingerprint, job.shard, name)
                    for block in audio.iter_stft(_read_samples(path, wav.fact(name, "length"))):
                        rows.append(stft=block)
                    if rows.length == 0:
                        rows.set_status("too_short", f"{wav.fact(name, 'length')} samples are less than one STFT frame")
            job.tick()


def _read_samples(path: Path, expected: int) -> Iterator[np.ndarray]:
    with soundfile.SoundFile(path) as sound:
        if sound.frames != expected:
            raise OSError(f"{path} has {sound.frames} samples, {expected} were written; remove its shard's folder")
        yield from sound.blocks(_ROWS_AT_ONCE * SAMPLE_RATE // 100, dtype="float32")


def _carry_on(earlier: Shard, rows: UtteranceRows) -> bool:
    """Take over an earlier stage's status and message; tell whether there is something to work on."""
    rows.set_status(earlier.fact(rows.name, "status"), earlier.fact(rows.name, "message"))
    return rows.status == "ok"


def extract_frames(job: ShardJob) -> None:
    """Read when each frame of the shard's clips is shown; keep their pixels too where the settings say so."""
    with contextlib.ExitStack() as stack:
        pixels = job.missing_writer(stack, "frames", beside="pixels") if config.frames().store_pixels else None
        writer = job.missing_writer(stack, "frames")
        for member in job.members:
            with job.reading(member) as source:
                digest = "" if source is None else compute_file_digest(source)
                table, status, message = _scan(source)
                if writer is not None:
                    with writer.utterance(member.name, source_sha256=digest) as rows:
                        rows.set_status(status, message)
                        _write_frames(table, rows)
                if pixels is not None:
                    with pixels.utterance(member.name, source_sha256=digest) as images:
                        images.set_status(status, message)
                        if source is not None and table is not None:
                            _keep_pixels(source, table, images)
            job.tick()


def _scan(source: Path | None) -> tuple[media.FrameTable | None, str, str]:
    if source is None:
        return None, "missing_file", _GONE
    try:
        table = media.scan_frames(source)
    except media.MediaError as error:
        return None, error.status, str(error)
    return table, "ok", table.message


def _write_frames(table: media.FrameTable | None, rows: UtteranceRows) -> None:
    if table is None:
        return
    rows.append(time=table.times_seconds)
    rows.facts = {
        "width": table.width,
        "height": table.height,
        "rotation": table.rotation_degrees,
        "sample_aspect_ratio": table.sample_aspect_ratio,
        "frame_rate": table.frame_rate,
        "num_frames_listed": table.num_frames_listed,
        "codec": table.codec,
    }


def _keep_pixels(source: Path, table: media.FrameTable, images: UtteranceRows) -> None:
    """Keep one image per row of the frame table; a frame that cannot be decoded has no bytes."""
    frames = media.read_frames(source, table, threads=config.number_of_threads())
    try:
        for frame in media.prefetch(frames, _FRAMES_AHEAD):
            missing = frame.index - images.length
            images.append_bytes([b""] * missing + [_encode_jpeg(frame.image)])
    except media.MediaError as error:
        images.set_status(error.status, str(error))
    images.append_bytes([b""] * (len(table.times_seconds) - images.length))


def _encode_jpeg(image: np.ndarray) -> bytes:
    done, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, config.faces().jpeg_quality])
    assert done  # an encoder for a format that OpenCV always has
    return data.tobytes()


def decode_jpeg(data: bytes) -> np.ndarray:
    """Decode a kept image to (H, W, 3) uint8 BGR.

    Raises:
        ValueError: The bytes are no image.
    """
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    if image is None:
        raise ValueError(f"{len(data)} bytes are no JPEG image")
    return image


def align_faces(job: ShardJob) -> None:
    """Find, follow and align the speaker of each clip (paper II-B)."""
    frames = job.rows("frames")
    use_all_cores()
    with contextlib.ExitStack() as stack:
        writer = job.missing_writer(stack, "faces")
        crops = job.missing_writer(stack, "faces", beside="crops")
        scratch = stack.enter_context(_scratch_for(job.run.path("faces", job.shard)))
        for member in job.members:
            faces, status, message = _find_faces(job, frames, member, scratch)
            digest = frames.fact(member.name, "source_sha256")
            if crops is not None:
                with crops.utterance(member.name, source_sha256=digest) as rows:
                    rows.set_status(status, message)
                    _write_crops(faces, rows)
            if writer is not None:
                with writer.utterance(member.name, source_sha256=digest) as rows:
                    rows.set_status(status, message)
                    _write_faces(faces, frames.rows(member.name, "time"), rows)
            job.tick()


@contextlib.contextmanager
def _scratch_for(path: Path) -> Iterator[Path]:
    path.parent.mkdir(parents=True, exist_ok=True)
    folder = scratch_folder() or path.parent
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{path.stem}.partial-", dir=folder) as name:
        yield Path(name)


def _find_faces(job: ShardJob, frames: Shard, member: Member, scratch: Path) -> tuple[SpeakerFaces | None, str, str]:
    """Find a clip's speaker; return the faces, a status and a message."""
    status, note = frames.fact(member.name, "status"), frames.fact(member.name, "message")
    if status != "ok":
        return None, status, note
    clip_scratch = scratch / "clip"
    shutil.rmtree(clip_scratch, ignore_errors=True)
    clip_scratch.mkdir()
    with job.reading(member) as source:
        pictures = _open_pictures(job, frames, member.name, source)
        if pictures is None:
            return None, "missing_file", _GONE
        try:
            faces = find_speaker(
                media.prefetch(pictures, _FRAMES_AHEAD),
                load_detector(),
                detect_every=config.faces().detect_every,
                smallest_face_px=config.faces().smallest_face_px,
                scratch=clip_scratch,
            )
        except media.MediaError as error:
            return None, error.status, str(error)
    notes = [note, getattr(pictures, "message", "read from the kept frames")]
    if len(faces.frame_indices) == 0:
        notes.insert(0, f"no face of {config.faces().smallest_face_px} pixels or more in {faces.num_frames} frames")
    return faces, "ok" if len(faces.frame_indices) else "no_face", "; ".join(filter(None, notes))


def _open_pictures(job: ShardJob, frames: Shard, name: str, source: Path | None) -> Any:
    """Open a clip's frames: from the clip, else from the kept pixels, else None."""
    times = frames.rows(name, "time")
    if source is not None:
        facts = {
            fact: frames.fact(name, fact) for fact in ("num_frames_listed", "codec", "frame_rate", "width", "height")
        }
        table = media.FrameTable(
            times_seconds=times,
            rotation_degrees=frames.fact(name, "rotation"),
            sample_aspect_ratio=frames.fact(name, "sample_aspect_ratio"),
            message="",
            **facts,
        )
        return media.read_frames(source, table, threads=config.number_of_threads())
    pixels = job.run.shard("pixels", job.shard)
    if pixels is None or name not in pixels or pixels.fact(name, "length") == 0:
        return None
    return (media.Frame(i, float(times[i]), decode_jpeg(data)) for i, data in enumerate(pixels.images(name)) if data)


def _write_crops(faces: SpeakerFaces | None, rows: UtteranceRows) -> None:
    for start in range(0, 0 if faces is None else len(faces.crops), _ROWS_AT_ONCE):
        assert faces is not None
        rows.append(crop=faces.crops[start : start + _ROWS_AT_ONCE])


def _write_faces(faces: SpeakerFaces | None, times: np.ndarray, rows: UtteranceRows) -> None:
    if faces is None:
        return
    rows.append(
        frame_index=faces.frame_indices,
        time=times[faces.frame_indices],
        box=faces.boxes,
        landmarks=faces.landmarks,
        score=faces.scores,
    )
    rows.facts = {name: getattr(faces, name) for name in ("num_frames", "num_faces", "num_tracks", "num_cuts")}


def cache_face_features(job: ShardJob) -> None:
    """Embed the shard's crops (paper III-B), then keep the crops as the settings say."""
    crops = job.rows("crops")
    use_all_cores()
    if not job.run.path("embeddings", job.shard).exists():
        _write_embeddings(job, crops)
    if config.faces().crops == "jpeg" and not job.run.path("crops_jpeg", job.shard).exists():
        _keep_jpeg_crops(job, crops)
    remove_spare_crops(job.run, job.shard)


def _write_embeddings(job: ShardJob, crops: Shard) -> None:
    blocks = _embed_blocks(crops, job.run)
    left = np.empty((0, FEATURE_SIZE), np.float32)
    with job.writer("embeddings") as writer:
        for name in crops.names:
            with writer.utterance(name, source_sha256=crops.fact(name, "source_sha256")) as rows:
                _carry_on(crops, rows)
                while rows.length < crops.fact(name, "length"):
                    left = left if len(left) else next(blocks)
                    part, left = np.split(left, [min(len(left), crops.fact(name, "length") - rows.length)])
                    rows.append(embedding=part)
            job.tick()


def _embed_blocks(crops: Shard, run: Run) -> Iterator[np.ndarray]:
    """Embed all crops of a shard end to end: batches are full however short the clips are."""
    settings = config.embeddings()
    device = find_device()
    network = load_embedder(run.weights["sphereface20"].path, settings.precision, device)
    everything = crops.dataset("crop")
    step = max(1, _ROWS_AT_ONCE // settings.batch_size) * settings.batch_size
    for start in range(0, len(everything), step):
        yield embed_crops(
            network,
            everything[start : start + step],
            channel_order=settings.channel_order,
            precision=settings.precision,
            batch_size=settings.batch_size,
            device=device,
        )


def _keep_jpeg_crops(job: ShardJob, crops: Shard) -> None:
    with job.writer("faces", beside="crops_jpeg") as writer:
        for name in crops.names:
            with writer.utterance(name, source_sha256=crops.fact(name, "source_sha256")) as rows:
                _carry_on(crops, rows)
                for crop in crops.rows(name, "crop"):
                    rows.append_bytes([_encode_jpeg(crop)])


def remove_spare_crops(run: Run, shard: str) -> None:
    """Remove a finished shard's raw crops where the settings keep none or JPEG ones."""
    if config.faces().crops != "raw" and run.is_finished(shard):
        path = run.path("crops", shard)
        path.unlink(missing_ok=True)
        path.with_name(path.name + ".sums").unlink(missing_ok=True)


def find_device() -> str:
    """Give the device that `[run] device` means here."""
    device = config.run().device
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    return str(device)


def use_all_cores() -> None:
    """Give torch the threads of `[run] threads`."""
    torch.set_num_threads(config.number_of_threads())


@functools.cache
def load_detector() -> Mtcnn:
    """Load MTCNN once a process: networks and the GPU's context live across shards."""
    return Mtcnn(load_networks(), smallest_face_px=config.faces().smallest_face_px, device=find_device())


@functools.cache
def load_embedder(weights: Path | None, precision: Any, device: str) -> SphereFace20:
    """Load SphereFace-20 once a process."""
    return prepare_embedder(build_sphereface(weights, seed=config.run().seed), precision=precision, device=device)
