"""AlignFaces: the speaker's aligned faces of each clip (paper II-B)."""

import contextlib
import functools
import itertools
import shutil
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from models.mtcnn.detector import find_engine
from models.networks.precision import computing_exactly
from pipeline.dataset.overrides import parse_text
from pipeline.faces.speaker_faces import SpeakerFaces, map_crops
from pipeline.media.pages import release_pages
from pipeline.stages.clip_faces import ClipFaces, ClipRequest, find_clip_faces, load_detector
from pipeline.stages.device import describe_device, find_faces_device, torch_threads
from pipeline.stages.frames import FRAMES_AHEAD, read_table
from pipeline.stages.processes import Processes
from pipeline.stages.shard_job import GONE, ROWS_AT_ONCE, ShardJob, in_parallel, unless_unreadable
from store.files import temporary_folder
from store.layout import wav_path
from store.records.plans import Member
from store.shard.reader import Shard
from store.shard.writer import ShardWriter, UtteranceRows

# Whether worker processes save time (docs/decisions/001): the seconds that a process takes to start, the seconds of a
# core that a small frame takes, and the number of cores that threads can use in spite of Python's lock.
_START_SECONDS = 2.4
_FRAME_SECONDS = 0.001
_CORES_OF_THREADS = 1.5
# Following a face for a frame takes about as long as decoding so many pixels, with a full detection now and then.
_PIXELS_OF_FOLLOWING = 150_000
# From this many pixels a frame, a thread that decodes ahead on an idle core saves time, and so do several decoder
# threads (docs/decisions/014). A smaller frame is decoded before another thread gets Python's lock.
_WORTH_DECODING_AHEAD = 50_000
_WORTH_DECODER_THREADS = 200_000
# Clips that may be finished before their turn to be written, for each worker.
_AHEAD_PER_WORKER = 4


def align_faces(job: ShardJob) -> None:
    """Find, follow and align the speaker of each clip, one clip per core.

    Each clip uses one thread of torch. The tracker's networks are small, and splitting each among cores costs more than
    it saves (on a busy machine ten times as much).
    """
    frames = job.rows("frames")
    settings = job.run.settings
    workers, device = settings.num_threads, find_faces_device(settings)
    with contextlib.ExitStack() as stack:
        # Files are closed in the opposite order, so the crops are complete when the table of faces appears.
        made_in = {"device": describe_device(device), "engine": find_engine(device)}
        writer = job.missing_writer(stack, "faces", made_in=made_in)
        crops = job.missing_writer(stack, "faces", beside="crops", made_in=made_in)
        scratch = stack.enter_context(
            temporary_folder(job.scratch or job.run.path("faces", job.shard).parent, job.shard)
        )
        stack.enter_context(torch_threads(1))
        stack.enter_context(computing_exactly())
        stopping = threading.Event()
        search = _Search(job, frames, scratch, device, workers, stopping)
        # While a clip of an hour comes first, the other cores go on with later clips, whose crops wait in scratch.
        ahead = _AHEAD_PER_WORKER * workers
        results = in_parallel(
            unless_unreadable(search, lambda message: ClipFaces("missing_file", message)),
            job.members,
            workers=workers,
            ahead=ahead,
            cost=search.guess_cost,
            stopping=stopping,
        )
        # Closed in every case, before the scratch folder is removed.
        stack.enter_context(contextlib.closing(results))
        statuses = []
        for member, found in zip(job.members, results, strict=True):
            _write(member, found, frames, crops, writer)
            statuses.append((found.status, found.message))
            job.tick()
        job.check_any_is_read(statuses)


def _write(
    member: Member, found: ClipFaces, frames: Shard, crops: ShardWriter | None, writer: ShardWriter | None
) -> None:
    """Write what was found to each file that is being made, and remove the clip's scratch folder."""
    digest = frames.fact(member.name, "source_sha256")
    for rows_of, write in ((crops, _write_crops), (writer, functools.partial(_write_faces, frames))):
        if rows_of is not None:
            with rows_of.utterance(member.name, source_sha256=digest) as rows:
                rows.set_status(found.status, found.message)
                if found.faces is not None:
                    write(found.faces, rows)
    if found.scratch is not None:
        shutil.rmtree(found.scratch)


class _Search:
    """Looks for the faces of a shard's clips: called with one clip, by several threads at a time."""

    def __init__(
        self, job: ShardJob, frames: Shard, scratch: Path, device: str, workers: int, stopping: threading.Event
    ) -> None:
        settings = job.run.settings.faces
        self._job = job
        self._frames = frames
        self._device = device
        self._workers = workers
        self._begun = itertools.count(1)
        seen = job.seen if len(job.members) == 1 else lambda share: None
        self._find = _choose_finder(frames, settings.smallest_face_px, device, workers, stopping, seen)
        self._request = functools.partial(
            ClipRequest,
            smallest_face_px=settings.smallest_face_px,
            detect_every=settings.detect_every,
            speaker=settings.speaker,
            still_faces=settings.still_faces,
            ffmpeg=job.run.settings.audio.ffmpeg,
            weights=job.run.weights["sphereface20"].path,
            device=device,
            scratch=scratch,
        )

    def guess_cost(self, member: Member) -> float:
        """Guess how long a clip takes, in any unit."""
        width, height = (max(self._frames.fact(member.name, side), 0) for side in ("width", "height"))
        return float(self._frames.fact(member.name, "length") * (width * height + _PIXELS_OF_FOLLOWING))

    def __call__(self, member: Member) -> ClipFaces:
        """Look for the speaker of a clip."""
        num_left = len(self._job.members) - next(self._begun)
        status, note = self._frames.fact(member.name, "status"), self._frames.fact(member.name, "message")
        if status != "ok":
            return ClipFaces(status, note)
        pixels = self._job.run.shard("pixels", self._job.shard)
        has_pixels = pixels is not None and member.name in pixels and pixels.fact(member.name, "length") > 0
        table = read_table(self._frames, member.name)
        num_pixels = table.width * table.height
        run = self._job.run
        # A core is idle only while the other workers have no clips to begin.
        is_ahead = self._device != "cpu" or (num_left < self._workers - 1 and num_pixels >= _WORTH_DECODING_AHEAD)
        # One thread a clip, unless there are cores to spare.
        spare = self._workers // len(self._job.members) if num_pixels >= _WORTH_DECODER_THREADS else 1
        with self._job.reading(member) as source:
            if source is None and not has_pixels:
                return ClipFaces("missing_file", GONE)
            return self._find(
                self._request(
                    name=member.name,
                    table=table,
                    source=source,
                    pixels=self._job.run.path("pixels", self._job.shard) if has_pixels else None,
                    wav=wav_path(run.store, run.fingerprints["wav"], self._job.shard, member.name),
                    override=parse_text(member.override),
                    decoder_threads=max(1, spare),
                    frames_ahead=FRAMES_AHEAD if is_ahead else 0,
                )
            )


def _choose_finder(
    frames: Shard,
    smallest_face_px: int,
    device: str,
    workers: int,
    stopping: threading.Event,
    seen: Callable[[float], None],
) -> Callable[[ClipRequest], ClipFaces]:
    """Choose where clips are processed: on a CPU with much to do in worker processes, else in this one's threads."""
    num_frames = sum(frames.fact(name, "length") for name in frames.names)
    saved_seconds = num_frames * _FRAME_SECONDS * (1 / _CORES_OF_THREADS - 1 / workers)
    is_worth_it = open_processes(workers).are_running or saved_seconds >= _START_SECONDS
    if device == "cpu" and workers > 1 and len(frames.names) > 1 and is_worth_it:
        return functools.partial(_find_elsewhere, open_processes(workers))
    detector = load_detector(smallest_face_px, device, workers)
    return functools.partial(find_clip_faces, detector=detector, stopping=stopping, seen=seen)


@functools.cache
def open_processes(count: int) -> Processes:
    """Return the worker processes, which live as long as this process; they start at the first call."""
    return Processes(count)


def _find_elsewhere(processes: Processes, request: ClipRequest) -> ClipFaces:
    found, crops = processes.call(_find_alone, request, what=f"finding faces in {request.source or request.name}")
    if crops is None or found.faces is None:
        return found
    mapped = map_crops(crops, len(found.faces.frame_indices))
    return replace(found, faces=replace(found.faces, crops=mapped))


def _find_alone(request: ClipRequest) -> tuple[ClipFaces, Path | None]:
    """Look for faces in a worker process; return the file of the crops instead of the crops."""
    found = find_clip_faces(request, load_detector(request.smallest_face_px, request.device, 1))
    if found.faces is None or not isinstance(found.faces.crops, np.memmap):
        return found, None
    crops = found.faces.crops
    assert crops.filename is not None, "it was mapped from one"
    return replace(found, faces=replace(found.faces, crops=np.empty((0, *crops.shape[1:]), crops.dtype))), Path(
        crops.filename
    )


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
