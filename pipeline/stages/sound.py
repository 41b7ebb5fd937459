"""ExtractWav and ComputeStft (paper II-A)."""

import contextlib
import errno
import os
import threading
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import soundfile

from models.paper import SAMPLE_RATE
from pipeline import media
from pipeline.dataset.overrides import Override, parse_text
from pipeline.media.sound import stft as audio
from pipeline.runs.run import compute_file_digest
from pipeline.stages.shard_job import GONE, ROWS_AT_ONCE, ShardJob, carry_on, in_parallel, unless_unreadable
from store.files import naming_full_disk, temporary_folder
from store.layout import wav_path
from store.records.plans import Member


def extract_wav(job: ShardJob) -> None:
    """Turn the shard's clips into WAV files, several at a time."""
    fingerprint = job.run.fingerprints["wav"]
    ffmpeg = job.run.settings.audio.ffmpeg or None
    engine = media.sound_engine(ffmpeg)  # an unusable program is reported before the first clip
    stopping = threading.Event()
    wholes = _WholeSounds(job.members, job.scratch or job.run.path("wav", job.shard).parent, ffmpeg, stopping)

    def extract(member: Member) -> tuple[str, str, str, int]:
        target = wav_path(job.run.store, fingerprint, job.shard, member.name)
        with job.reading(member) as source:
            if source is None:
                return "missing_file", GONE, "", 0
            digest = compute_file_digest(source)
            try:
                sound = _extract(source, target, member, ffmpeg, stopping, wholes)
            except media.MediaError as error:
                if os.path.lexists(target):
                    target.unlink()  # written when the sound could still be decoded; no row refers to it
                return error.status, str(error), digest, 0
            return "ok", sound.message, digest, sound.num_samples

    # All clips may be finished ahead of their turn: a waiting result is only a length and a sentence.
    results = in_parallel(
        unless_unreadable(extract, lambda message: ("missing_file", message, "", 0)),
        job.members,
        workers=job.run.settings.num_threads,
        ahead=len(job.members),
        cost=lambda member: member.size,
        stopping=stopping,
    )
    found = []
    with contextlib.ExitStack() as stack:
        stack.enter_context(wholes)
        stack.enter_context(contextlib.closing(results))
        writer = stack.enter_context(job.writer("wav", made_in={"sound_engine": engine}))
        for member, (status, message, digest, num_samples) in zip(job.members, results, strict=True):
            with writer.utterance(member.name, source_sha256=digest) as rows:
                rows.set_status(status, message)
                rows.length = num_samples
                if status == "ok":
                    path = wav_path(job.run.store, fingerprint, job.shard, member.name)
                    rows.facts = {"wav_sha256": compute_file_digest(path)}
            found.append((status, message))
            job.tick()
        job.check_any_is_read(found)


class _WholeSounds(contextlib.AbstractContextManager["_WholeSounds"]):
    """The sound of whole recordings, extracted once for all their parts in a shard, and removed after the last part.

    Args:
        members: the shard's clips.
        place: folder in which the scratch folder is made.
        ffmpeg: see `media.extract_wav`.
        stopping: see `media.extract_wav`.
    """

    def __init__(
        self, members: Iterable[Member], place: Path, ffmpeg: str | None, stopping: threading.Event | None
    ) -> None:
        self._num_left = Counter(key for member in members if (key := _key_of_whole(member)) is not None)
        self._locks = {key: threading.Lock() for key in self._num_left}
        self._found: dict[tuple[str, str], media.Sound | media.MediaError] = {}
        self._numbers = {key: number for number, key in enumerate(self._num_left)}
        self._place, self._ffmpeg, self._stopping = place, ffmpeg, stopping
        self._stack = contextlib.ExitStack()
        self._folder = Path()

    def __enter__(self) -> "_WholeSounds":
        if self._num_left:
            self._folder = self._stack.enter_context(temporary_folder(self._place, "recordings"))
        return self

    def __exit__(self, *exception: object) -> None:
        self._stack.close()

    @contextlib.contextmanager
    def extracted(self, member: Member, source: Path) -> Iterator[tuple[Path, media.Sound]]:
        """Give the WAV file of a member's whole recording, and the result of its extraction.

        Raises:
            MediaError: It cannot be decoded.
        """
        key = _key_of_whole(member)
        assert key is not None, "only parts have a whole"
        path = self._folder / f"{self._numbers[key]}.wav"
        try:
            with self._locks[key]:
                found = self._found.get(key)
                if found is None:
                    found = self._found[key] = self._extract_whole(source, path, parse_text(member.override))
            if isinstance(found, media.MediaError):
                raise media.MediaError(found.status, str(found))
            yield path, found
        finally:
            with self._locks[key]:
                self._num_left[key] -= 1
                if self._num_left[key] <= 0:
                    path.unlink(missing_ok=True)

    def _extract_whole(self, source: Path, path: Path, override: Override) -> media.Sound | media.MediaError:
        try:
            return media.extract_wav(
                source,
                path,
                sample_rate=SAMPLE_RATE,
                ffmpeg=self._ffmpeg,
                stream=override.audio_stream,
                channel=override.audio_channel,
                stopping=self._stopping,
            )
        except media.MediaError as error:
            return error


def _key_of_whole(member: Member) -> tuple[str, str] | None:
    """Return the key of the whole sound that a part is cut from; None for a clip that is not a part."""
    override = parse_text(member.override)
    return None if override.cut is None else (member.path, replace(override, cut=None).text)


def _extract(
    source: Path,
    target: Path,
    member: Member,
    ffmpeg: str | None = None,
    stopping: threading.Event | None = None,
    wholes: "_WholeSounds | None" = None,
) -> media.Sound:
    override = parse_text(member.override)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with naming_full_disk(target):
            if override.cut is not None:
                assert wholes is not None, "the caller keeps the sound of whole recordings"
                with wholes.extracted(member, source) as (whole, sound):
                    return media.cut_wav(whole, sound, target, media.Cut(*override.cut), SAMPLE_RATE)
            return media.extract_wav(
                source,
                target,
                sample_rate=SAMPLE_RATE,
                ffmpeg=ffmpeg,
                stream=override.audio_stream,
                channel=override.audio_channel,
                stopping=stopping,
            )
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:
            raise
        size = len(os.fsencode(target.name))
        text = f"the name {target.name} of its sound, {size} bytes, is too long for the store's file system"
        raise media.MediaError("decode_error", f"{text}; shorten the clip's name") from error


def compute_stft(job: ShardJob) -> None:
    """Transform the shard's WAV files."""
    wav = job.rows("wav")
    with job.writer("stft") as writer:
        for name in wav.names:
            with writer.utterance(name, source_sha256=wav.fact(name, "source_sha256")) as rows:
                if carry_on(wav, rows):
                    num_samples = wav.fact(name, "length")
                    path = wav_path(job.run.store, wav.fingerprint, job.shard, name)
                    for block in audio.iter_stft(_read_samples(path, num_samples)):
                        rows.append(stft=block)
                    if rows.length == 0:
                        rows.set_status("too_short", f"{num_samples} samples are less than one STFT frame (160)")
            job.tick()


def _read_samples(path: Path, expected: int) -> Iterator[np.ndarray]:
    remedy = f"remove {path.parent.parent}.h5 to have the sound of its shard extracted again"
    try:
        sound = soundfile.SoundFile(path)
    except soundfile.LibsndfileError as error:
        what = f"cannot be read ({error.error_string})" if path.exists() else "is gone"
        raise OSError(f"{path} {what}, {expected} samples were written; {remedy}") from error
    with sound:
        if sound.frames != expected:
            raise OSError(f"{path} has {sound.frames} samples, {expected} were written; {remedy}")
        yield from sound.blocks(ROWS_AT_ONCE * SAMPLE_RATE // 100, dtype="float32")
