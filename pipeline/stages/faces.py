"""AlignFaces: the speaker's aligned faces of each clip (paper II-B)."""

import contextlib
import functools
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from models.mtcnn import Mtcnn
from models.mtcnn_networks import load_networks
from models.sphereface import embed_crops
from pipeline import config, media
from pipeline.faces import SpeakerFaces, find_speaker
from pipeline.mapped import release_pages
from pipeline.overrides import Override, parse_text
from pipeline.plan import Member
from pipeline.speaker import LOOKS, Likeness, Wish, embedding_likeness
from pipeline.stages.device import describe_device, find_device, torch_threads
from pipeline.stages.embedding import load_embedder
from pipeline.stages.frames import FRAMES_AHEAD, read_kept_frames, read_table
from pipeline.stages.job import GONE, ROWS_AT_ONCE, ShardJob, in_parallel, scratch_folder
from store.files import temporary_folder
from store.shard import Shard
from store.writer import UtteranceRows

# Crops of a track that are embedded to tell whose it is, padded to one size.
_LIKENESS_BATCH = 16


@dataclass(frozen=True)
class _Found:
    """A clip's outcome; `scratch` holds the crops until they are written."""

    status: str
    message: str
    faces: SpeakerFaces | None = None
    scratch: Path | None = None


def align_faces(job: ShardJob) -> None:
    """Find, follow and align the speaker of each clip, one clip per core.

    One thread a clip: the tracker's networks are small, and splitting each among cores costs more than it brings (on
    a busy machine ten times as much).
    """
    frames = job.rows("frames")
    workers = config.number_of_threads()
    with contextlib.ExitStack() as stack:
        # Closed in the opposite order: the crops are whole when the table of faces appears.
        made_in = {"device": describe_device()}
        writer = job.missing_writer(stack, "faces", made_in=made_in)
        crops = job.missing_writer(stack, "faces", beside="crops", made_in=made_in)
        scratch = stack.enter_context(
            temporary_folder(scratch_folder() or job.run.path("faces", job.shard).parent, job.shard)
        )
        stack.enter_context(torch_threads(1))
        load_detector()
        find = functools.partial(_find_faces, job, frames, scratch)
        for member, found in zip(job.members, in_parallel(find, job.members, workers=workers), strict=True):
            digest = frames.fact(member.name, "source_sha256")
            for rows_of, write in ((crops, _write_crops), (writer, functools.partial(_write_faces, frames))):
                if rows_of is not None:
                    with rows_of.utterance(member.name, source_sha256=digest) as rows:
                        rows.set_status(found.status, found.message)
                        if found.faces is not None:
                            write(found.faces, rows)
            if found.scratch is not None:
                shutil.rmtree(found.scratch)
            job.tick()


def _find_faces(job: ShardJob, frames: Shard, scratch: Path, member: Member) -> _Found:
    status, note = frames.fact(member.name, "status"), frames.fact(member.name, "message")
    if status != "ok":
        return _Found(status, note)
    settings, override = config.faces(), parse_text(member.override)
    with job.reading(member) as source:
        pictures = _open_pictures(job, frames, member.name, source, override.video_stream)
        if pictures is None:
            return _Found("missing_file", GONE)
        folder = Path(tempfile.mkdtemp(dir=scratch))
        try:
            faces = find_speaker(
                media.prefetch(pictures, FRAMES_AHEAD),
                load_detector(),
                detect_every=settings.detect_every,
                smallest_face_px=settings.smallest_face_px,
                scratch=folder,
                likeness=load_likeness(job.run.weights["sphereface20"].path),
                wish=choose_wish(override, frames.rows(member.name, "time")),
            )
        except media.MediaError as error:
            return _Found(error.status, str(error))
    notes = [note, getattr(pictures, "message", "read from the kept frames")]
    if len(faces.frame_indices) == 0:
        where = " where the overrides name one" if override.names_speaker and faces.num_faces else ""
        notes.insert(0, f"no face of {settings.smallest_face_px} pixels or more in {faces.num_frames} frames{where}")
    status = "ok" if len(faces.frame_indices) else "no_face"
    return _Found(status, "; ".join(filter(None, notes)), faces, folder)


def choose_wish(override: Override, times: np.ndarray) -> Wish | None:
    """Turn what the user says of the speaker, with a time, into a frame of the clip (times (F,) in seconds)."""
    if not override.names_speaker:
        return None
    frame_index = None if override.seconds is None else int(np.abs(times - override.seconds).argmin())
    return Wish(override.point, frame_index)


def _open_pictures(job: ShardJob, frames: Shard, name: str, source: Path | None, stream: int | None) -> Any:
    """Open a clip's frames: from the clip, else from the kept pixels, else None."""
    table = read_table(frames, name)
    if source is not None:
        # One thread a clip, unless there are cores to spare.
        threads = max(1, config.number_of_threads() // len(job.members))
        return media.read_frames(source, table, threads=threads, stream=stream)
    pixels = job.run.shard("pixels", job.shard)
    if pixels is None or name not in pixels or pixels.fact(name, "length") == 0:
        return None
    return read_kept_frames(pixels, name, table)


def _write_crops(faces: SpeakerFaces, rows: UtteranceRows) -> None:
    for start in range(0, len(faces.crops), ROWS_AT_ONCE):
        rows.append(crop=faces.crops[start : start + ROWS_AT_ONCE])
        release_pages(faces.crops)


def _write_faces(frames: Shard, faces: SpeakerFaces, rows: UtteranceRows) -> None:
    times: np.ndarray = frames.rows(rows.name, "time")
    rows.append(
        frame_index=faces.frame_indices,
        time=times[faces.frame_indices],
        box=faces.boxes,
        landmarks=faces.landmarks,
        score=faces.scores,
    )
    rows.facts = {name: getattr(faces, name) for name in ("num_frames", "num_faces", "num_tracks", "num_cuts")}


@functools.cache
def load_detector() -> Mtcnn:
    """Load MTCNN once a process: networks and the GPU's context live across shards.

    Full detections spread over all cores, so that a clip alone, or the last of a shard, does not leave cores idle.
    """
    return Mtcnn(
        load_networks(),
        smallest_face_px=config.faces().smallest_face_px,
        device=find_device(),
        num_threads=config.number_of_threads(),
    )


def load_likeness(weights: Path | None) -> Likeness:
    """Give the way tracks are compared: by embeddings in float32, or by looks where SphereFace's weights are random."""
    if weights is None:
        return LOOKS
    device = find_device()

    def embed(crops: np.ndarray) -> np.ndarray:
        network = load_embedder(weights, "float32", device)
        return embed_crops(network, crops, batch_size=_LIKENESS_BATCH, device=device)

    return embedding_likeness(embed)
