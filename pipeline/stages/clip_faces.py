"""The speaker's faces of one clip (paper II-B), from plain values alone, so that any process can look for them."""

import contextlib
import errno
import functools
import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from models.choices import FeaturePrecision
from models.features.speech import SpeechListener
from models.mtcnn.detector import Mtcnn
from models.mtcnn.networks import load_networks
from models.networks.precision import multiplies_bfloat16
from models.paper import SAMPLE_RATE
from pipeline import media
from pipeline.dataset.overrides import Override
from pipeline.faces.likeness import LOOKS, Likeness, embedding_likeness
from pipeline.faces.mouths import SoundChange, measure_sound_change
from pipeline.faces.rivals import Evidence
from pipeline.faces.speaker import Wish
from pipeline.faces.speaker_faces import SpeakerFaces, find_speaker
from pipeline.stages.embedding import load_embedder
from pipeline.stages.frames import FRAMES_AHEAD, open_frames, read_kept_frames
from store.shard.reader import Shard

# Number of crops embedded at a time to compare tracks; the last batch is padded to this size.
_LIKENESS_BATCH = 8
# Samples read at a time: 10 s.
_SOUND_BLOCK = 10 * SAMPLE_RATE


@dataclass(frozen=True)
class ClipRequest:
    """A clip and everything that determines which faces are found in it.

    Attributes:
        name: of the utterance.
        table: its frame table.
        source: the clip; None where it is gone.
        pixels: shard of kept pixels, looked at where the clip is gone.
        override: the user's overrides for the clip.
        smallest_face_px: `[faces] smallest_face_px`.
        detect_every: `[faces] detect_every`.
        weights: SphereFace's file, to compare tracks by embeddings; None to compare them by mean crops.
        device: where the networks run.
        decoder_threads: number of the decoder's threads.
        scratch: existing folder in which a folder for the crops is made.
        speaker: the rule, `[faces] speaker`.
        still_faces: `[faces] still_faces`.
        wav: the clip's sound in the store; extracted again when it is needed and this file is missing.
        ffmpeg: the program that extracts it, `[audio] ffmpeg`; "" for PyAV, in this process.
        frames_ahead: frames that a second thread decodes ahead of the tracker. 0 decodes in the tracker's thread, which
            is faster where no core is idle, since Python's threads wait for each other.
    """

    name: str
    table: media.FrameTable
    source: Path | None
    pixels: Path | None
    override: Override
    smallest_face_px: int
    detect_every: int
    weights: Path | None
    device: str
    decoder_threads: int
    scratch: Path
    speaker: str = "largest"
    still_faces: str = "count"
    wav: Path | None = None
    ffmpeg: str = ""
    frames_ahead: int = FRAMES_AHEAD


@dataclass(frozen=True)
class ClipFaces:
    """What was found: a status with its message, the faces, and the folder of their crops, which the caller removes."""

    status: str
    message: str
    faces: SpeakerFaces | None = None
    scratch: Path | None = None


def find_clip_faces(
    request: ClipRequest,
    detector: Mtcnn,
    stopping: threading.Event | None = None,
    seen: Callable[[float], None] = lambda share: None,
) -> ClipFaces:
    """Look for the speaker of a clip.

    Args:
        request: the clip.
        detector: for its frames.
        stopping: checked before each packet and frame, since a clip may take minutes.
        seen: called after each frame with the share of the frames that are done; only together with `stopping`.

    Raises:
        InterruptedError: `stopping` was set.
        OSError: Scratch cannot be written.
        ShardError: The kept pixels are damaged.
    """
    pictures = _open_pictures(request, stopping)
    frames = pictures if stopping is None else _until(stopping, pictures, seen, len(request.table.times_seconds))
    folder = Path(tempfile.mkdtemp(dir=request.scratch))
    try:
        faces = find_speaker(
            media.prefetch(frames, request.frames_ahead) if request.frames_ahead else frames,
            detector,
            detect_every=request.detect_every,
            smallest_face_px=request.smallest_face_px,
            scratch=folder,
            likeness=load_likeness(request.weights, request.device),
            wish=choose_wish(request.override, request.table.times_seconds),
            evidence=_choose_evidence(request, folder, stopping),
        )
    except media.MediaError as error:
        return ClipFaces(error.status, str(error))
    notes = [request.table.message, getattr(pictures, "message", "read from the kept frames"), *faces.notes]
    if len(faces.frame_indices) == 0:
        where = " where the overrides name one" if request.override.names_speaker and faces.num_faces else ""
        nothing = f"no face of {request.smallest_face_px} pixels or more in {faces.looked_at}{where}"
        return ClipFaces("no_face", "; ".join(filter(None, [nothing, *notes])), faces, folder)
    return ClipFaces("ok", "; ".join(filter(None, notes)), faces, folder)


def _until(
    stopping: threading.Event, pictures: Any, seen: Callable[[float], None], count: int
) -> Iterator[media.Frame]:
    with contextlib.closing(pictures):
        for picture in pictures:
            if stopping.is_set():
                raise InterruptedError(errno.EINTR, "the work was stopped")
            yield picture
            seen((picture.index + 1) / count)


def choose_wish(override: Override, times: np.ndarray) -> Wish | None:
    """Turn the user's override of the speaker into a wish with a frame's index (times (F,) of frames in seconds)."""
    if not override.names_speaker:
        return None
    frame_index = None if override.seconds is None else int(np.abs(times - override.seconds).argmin())
    return Wish(override.point, frame_index)


def _choose_evidence(request: ClipRequest, folder: Path, stopping: threading.Event | None = None) -> Evidence | None:
    listen = functools.partial(
        read_sound_change,
        request.source,
        folder,
        wav=request.wav,
        ffmpeg=request.ffmpeg,
        stream=request.override.audio_stream,
        channel=request.override.audio_channel,
        cut=request.override.cut,
        only_speech=request.speaker == "speech",
        stopping=stopping,
    )
    times = request.table.times_seconds
    return choose_evidence(times, speaker=request.speaker, still_faces=request.still_faces, listen=listen)


def choose_evidence(
    times: np.ndarray, *, speaker: str, still_faces: str, listen: Callable[[], SoundChange | None]
) -> Evidence | None:
    """Return the evidence that the settings ask for; None where the sizes of the faces alone decide.

    Args:
        times: (F,) of the clip's frames, in seconds.
        speaker: `[faces] speaker`.
        still_faces: `[faces] still_faces`.
        listen: reads the clip's sound; called only where the sound could decide.
    """
    is_asked, skips_stills = speaker in ("speaking", "speech"), still_faces == "skip"
    return Evidence(times, skips_stills, listen if is_asked else None) if is_asked or skips_stills else None


def read_sound_change(
    source: Path | None,
    scratch: Path,
    *,
    wav: Path | None = None,
    ffmpeg: str = "",
    stream: int | None = None,
    channel: int | None = None,
    cut: tuple[float, float] | None = None,
    only_speech: bool = False,
    stopping: threading.Event | None = None,
) -> SoundChange | None:
    """Read how a clip's sound changes; None where there is no sound.

    Args:
        source: the clip; None where it is gone.
        scratch: folder for its sound, which the caller removes.
        wav: its sound in the store, which has the same samples; used if the file exists.
        ffmpeg: the program that extracts it; "" for PyAV, in this process.
        stream: which of the sound streams, from 0; None for the one ffmpeg thinks best.
        channel: which of its channels, from 0; None for all of them mixed.
        cut: start and end of the clip in seconds, where its file is a whole recording.
        only_speech: whether the sound's energy is multiplied by the probability of speech.
        stopping: when it is set, the reading ends with an InterruptedError.
    """
    if wav is None or not wav.is_file():
        if source is None:
            return None
        wav = scratch / "sound.wav"
        try:
            sound = media.extract_wav(
                source,
                wav,
                sample_rate=SAMPLE_RATE,
                ffmpeg=ffmpeg or None,
                stream=stream,
                channel=channel,
                part=None if ffmpeg else cut,
                stopping=stopping,
            )
            if cut is not None and ffmpeg:
                whole, wav = wav, scratch / "part.wav"
                media.cut_wav(whole, sound, wav, media.Cut(*cut), SAMPLE_RATE)
        except media.MediaError:
            return None
    with soundfile.SoundFile(wav) as sound:
        blocks = sound.blocks(_SOUND_BLOCK, dtype="float32")
        return measure_sound_change(blocks, speech=SpeechListener() if only_speech else None)


def _open_pictures(request: ClipRequest, stopping: threading.Event | None) -> Any:
    """Open the clip's frames: those of the clip itself, else the kept pixels."""
    if request.source is not None:
        threads = request.decoder_threads
        return open_frames(request.source, request.table, request.override, threads=threads, stopping=stopping)
    assert request.pixels is not None, "one of the two is there"
    return read_kept_frames(Shard(request.pixels), request.name, request.table)


@functools.cache
def load_detector(smallest_face_px: int, device: str, num_threads: int) -> Mtcnn:
    """Load MTCNN once in a process: networks and the GPU's context are kept for later shards.

    Args:
        smallest_face_px: see `Mtcnn`.
        device: see `Mtcnn`.
        num_threads: see `Mtcnn`; more than one where a clip alone, or the last of a shard, would leave cores idle.
    """
    return Mtcnn(load_networks(), smallest_face_px=smallest_face_px, device=device, num_threads=num_threads)


def load_likeness(weights: Path | None, device: str) -> Likeness:
    """Return how tracks are compared: by embeddings, or by mean crops where SphereFace's weights are random.

    These embeddings are computed in bfloat16 where the device multiplies in it, whatever the precision of the stored
    embeddings. It takes half the time, and the cosine of two tracks changes by at most .001 (docs/decisions/010).
    """
    if weights is None:
        return LOOKS
    precision: FeaturePrecision = "bfloat16" if multiplies_bfloat16(device) else "float32"

    def embed(crops: np.ndarray) -> np.ndarray:
        return load_embedder(weights, precision, device).embed(crops, batch_size=_LIKENESS_BATCH)

    return embedding_likeness(embed)
