"""ExtractWav and ComputeStft (paper II-A)."""

import errno
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile

from models.paper import SAMPLE_RATE
from pipeline import config, media
from pipeline.dataset.overrides import parse_text
from pipeline.media import stft as audio
from pipeline.runs.run import compute_file_digest
from pipeline.stages.shard_job import GONE, ROWS_AT_ONCE, ShardJob, carry_on, in_parallel, unless_unreadable
from store.layout import wav_path
from store.plans import Member


def extract_wav(job: ShardJob) -> None:
    """Turn the shard's clips into WAV files, several at a time."""
    fingerprint = job.run.fingerprints["wav"]
    ffmpeg = config.audio().ffmpeg or None
    engine = media.sound_engine(ffmpeg)  # a program that is of no use ends the work before it begins
    stopping = threading.Event()

    def extract(member: Member) -> tuple[str, str, str, int]:
        target = wav_path(job.run.store, fingerprint, job.shard, member.name)
        with job.reading(member) as source:
            if source is None:
                return "missing_file", GONE, "", 0
            digest = compute_file_digest(source)
            try:
                sound = _extract(source, target, member, ffmpeg, stopping)
            except media.MediaError as error:
                if os.path.lexists(target):
                    target.unlink()  # of a time when the sound could be decoded: it would belong to no row
                return error.status, str(error), digest, 0
            return "ok", sound.message, digest, sound.num_samples

    # All may be ahead of their turn: what waits is a file's length and a sentence.
    results = in_parallel(
        unless_unreadable(extract, lambda message: ("missing_file", message, "", 0)),
        job.members,
        workers=config.number_of_threads(),
        ahead=len(job.members),
        cost=lambda member: member.size,
        stopping=stopping,
    )
    found = []
    with job.writer("wav", made_in={"sound_engine": engine}) as writer:
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


def _extract(
    source: Path,
    target: Path,
    member: Member,
    ffmpeg: str | None = None,
    stopping: threading.Event | None = None,
) -> media.Sound:
    override = parse_text(member.override)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
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
