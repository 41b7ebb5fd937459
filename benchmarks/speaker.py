"""How often each of two rules chooses the speaker, in two clips side by side with the sound of one of them.

Every clip is the speaker beside several other clips. The first of these follow it in the order of names: they are of
the same collection and often of the same sentence. Variations: `talks` (the other person talks too, without sound),
`half` (as `talks`, with the speaker's picture half as large), `rests` (the other clip's quietest half second, forwards
and backwards), and `photo` (a still image of the other person, 1.5 times as large as the speaker, in a clip without
sound). All are encoded, decoded and tracked.
"""

import argparse
import itertools
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import soundfile
import torch

from benchmarks.clips import choose_clips
from models.mtcnn.detector import Mtcnn
from models.mtcnn.networks import load_networks
from models.paper import SAMPLE_RATE
from pipeline import media
from pipeline.dataset.overrides import Override
from pipeline.faces.rivals import UNDECIDED
from pipeline.stages.clip_faces import ClipFaces, ClipRequest, find_clip_faces

FRAME_RATE = 25
FACE_PX = 120  # height of a face side by side
QUIET_SECONDS = 0.5
LEAST_SECONDS, MOST_SECONDS = 1.2, 6.0
#: Size of the speaker's picture, size of the other picture, and what the other person does.
VARIATIONS = {"talks": (1.0, 1.0, "talks"), "half": (0.5, 1.0, "talks"), "rests": (1.0, 1.0, "rests")}
PHOTO = {"photo": (1.0, 1.5, "photo")}
RULES = {"largest": ("largest", "count"), "speaking": ("speaking", "skip")}


@dataclass(frozen=True)
class Actor:
    """A clip of one person: name, pictures (F, H, W, 3) at 25 frames/s with a face of 120 px, and sound at 16 kHz."""

    name: str
    pictures: np.ndarray
    sound: np.ndarray

    @property
    def collection(self) -> str:
        """The collection that the clip is from, the beginning of its name."""
        return self.name.split("_")[0]


def load_actor(clip: Path, detector: Mtcnn, folder: Path) -> Actor | None:
    """Read a clip; None if it has no sound, or not exactly one face in its first frame."""
    table = media.scan_frames(clip)
    wav = folder / "actor.wav"
    try:
        media.extract_wav(clip, wav)
    except media.MediaError:
        return None
    sound, _ = soundfile.read(wav, dtype="float32", frames=int(MOST_SECONDS * SAMPLE_RATE))
    end = min(MOST_SECONDS, float(table.times_seconds[-1]))
    wanted = np.searchsorted(table.times_seconds, np.arange(0, end, 1 / FRAME_RATE) + 1e-3, "right")
    size, pictures = None, {}
    frames = media.read_frames(clip, table, threads=1)
    for frame in itertools.takewhile(lambda frame: frame.time_seconds <= end, frames):
        if size is None:
            faces = detector.detect(frame.image)
            if len(faces) != 1:
                return None
            scale = FACE_PX / float(faces.boxes[0, 3] - faces.boxes[0, 1])
            size = (round(frame.image.shape[1] * scale), round(frame.image.shape[0] * scale))
        assert size is not None, "the first frame has set it"
        pictures[frame.index] = cv2.resize(frame.image, size, interpolation=cv2.INTER_AREA)
    shown = [pictures[index] for index in np.maximum(wanted - 1, 0).tolist() if index in pictures]
    if len(shown) < LEAST_SECONDS * FRAME_RATE or np.abs(sound).max() < 0.01:
        return None
    frames.close()
    return Actor(clip.stem, np.stack(shown), sound)


def rest(actor: Actor) -> np.ndarray:
    """Return the pictures of the quietest half second, forwards and backwards, as many as the clip has."""
    length = round(QUIET_SECONDS * FRAME_RATE)
    hop = SAMPLE_RATE // FRAME_RATE
    energy = [float(np.square(actor.sound[i * hop : (i + 1) * hop]).sum()) for i in range(len(actor.pictures))]
    start = int(np.argmin([sum(energy[i : i + length]) for i in range(len(energy) - length)]))
    forth = actor.pictures[start : start + length]
    there = np.concatenate([forth, forth[-2:0:-1]])
    return there[np.arange(len(actor.pictures)) % len(there)]


def compose(speaker: Actor, other: Actor, sizes: tuple[float, float], behaviour: str, *, left: bool) -> np.ndarray:
    """Put two actors side by side, (F, H, W, 3); `left` says whether the speaker is on the left."""
    pictures = {"talks": other.pictures, "photo": other.pictures[:1]}
    beside = rest(other) if behaviour == "rests" else pictures[behaviour]
    num_frames = len(speaker.pictures) if behaviour == "photo" else min(len(speaker.pictures), len(beside))
    pairs = zip(speaker.pictures[:num_frames], itertools.cycle(beside), strict=False)
    frames = []
    for both in pairs:
        scaled = [
            cv2.resize(image, None, fx=size, fy=size, interpolation=cv2.INTER_AREA)
            for image, size in zip(both, sizes, strict=True)
        ]
        height = max(image.shape[0] for image in scaled)
        padded = [np.pad(image, ((0, height - image.shape[0]), (0, 0), (0, 0))) for image in scaled]
        joined = np.concatenate(padded if left else padded[::-1], axis=1)
        frames.append(joined[: height // 2 * 2, : joined.shape[1] // 2 * 2])
    return np.stack(frames)


def find(clip: Path, detector: Mtcnn, rule: tuple[str, str], folder: Path) -> ClipFaces:
    """Find a clip's speaker by a rule of `[faces] speaker` and one of `[faces] still_faces`."""
    speaker, still_faces = rule
    request = ClipRequest(
        name=clip.stem,
        table=media.scan_frames(clip),
        source=clip,
        pixels=None,
        override=Override(),
        smallest_face_px=detector.smallest_face_px,
        detect_every=25,
        weights=None,
        device="cpu",
        decoder_threads=1,
        scratch=folder,
        speaker=speaker,
        still_faces=still_faces,
        frames_ahead=0,
    )
    return find_clip_faces(request, detector)


def list_pairs(actors: Sequence[Actor], partners: int) -> Iterator[tuple[Actor, Actor]]:
    """Yield pairs of every actor and the next ones in the list, and as many from half the list away."""
    half = len(actors) // 2
    steps = dict.fromkeys([*range(1, partners + 1), *range(half, half + partners)])
    for (number, actor), step in itertools.product(enumerate(actors), steps):
        other = actors[(number + step) % len(actors)]
        if other is not actor:
            yield actor, other


def is_right(found: ClipFaces, border: int, *, left: bool) -> bool:
    """Tell whether the faces found are on the speaker's side of the border between the two pictures."""
    if found.faces is None or len(found.faces.boxes) == 0:
        return False
    centre = float(found.faces.boxes[:, [0, 2]].mean())
    return (centre < border) == left


def measure(pairs: Sequence[tuple[Actor, Actor]], variation: str, detector: Mtcnn, *, verbose: bool) -> dict[str, int]:
    """Return the number of pairs of a variation, and for how many each rule finds the speaker."""
    *sizes, behaviour = (VARIATIONS | PHOTO)[variation]
    counts = {"pairs": 0, "largest": 0, "speaking": 0, "same": 0, "same largest": 0, "same speaking": 0, "untold": 0}
    for number, (speaker, other) in enumerate(pairs):
        left = number % 2 == 0
        frames = compose(speaker, other, (sizes[0], sizes[1]), behaviour, left=left)
        first, scale = (speaker, sizes[0]) if left else (other, sizes[1])
        border = round(first.pictures.shape[2] * scale)
        samples = speaker.sound[: round(len(frames) / FRAME_RATE * SAMPLE_RATE)]
        is_same = speaker.collection == other.collection
        counts["pairs"] += 1
        counts["same"] += is_same
        with tempfile.TemporaryDirectory() as folder:
            clip = Path(folder) / "pair.mp4"
            sound = None if behaviour == "photo" else samples
            media.write_clip(clip, frames, frame_rate=FRAME_RATE, samples=sound, sample_rate=SAMPLE_RATE)
            for name, rule in RULES.items():
                found = find(clip, detector, rule, Path(folder))
                right = is_right(found, border, left=left)
                counts[name] += right
                counts[f"same {name}"] += right and is_same
                counts["untold"] += UNDECIDED in found.message
                if verbose:
                    print(
                        f"  {speaker.name} beside {other.name}: {name} {'right' if right else 'WRONG'} {found.message}"
                    )
    return counts


def main(argv: Sequence[str] | None = None) -> int:
    """Print the table; the exit code is 1 if Valar's default rule is not the better one."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks speaker", description=__doc__)
    parser.add_argument("clips", nargs="*", type=Path, help="clips or folders; by default the real speech clips")
    parser.add_argument("--partners", type=int, default=2, help="of the same collection, and as many of others")
    parser.add_argument("--variation", choices=[*VARIATIONS, *PHOTO], action="append", help="by default all")
    parser.add_argument("--verbose", action="store_true", help="tell of every pair")
    arguments = parser.parse_args(argv)
    torch.set_num_threads(1)
    detector = Mtcnn(load_networks(), smallest_face_px=30)
    with tempfile.TemporaryDirectory() as folder:
        loaded = [load_actor(clip, detector, Path(folder)) for clip in choose_clips(arguments.clips)]
    actors = [actor for actor in loaded if actor is not None]
    if len(actors) < 2:
        raise SystemExit(f"{len(actors)} of {len(loaded)} clips show one face and have sound; two are needed")
    pairs = list(list_pairs(actors, arguments.partners))
    print(f"{len(actors)} clips of one face with sound, {len(pairs)} pairs a variation; of one collection in brackets")
    print(f"{'':8} {'pairs':>12} {'largest':>16} {'speaking':>16} {'sound tells nothing':>20}")
    is_better = True
    for variation in arguments.variation or [*VARIATIONS, *PHOTO]:
        row = measure(pairs, variation, detector, verbose=arguments.verbose)
        cells = [f"{row[name] / row['pairs']:.1%} ({row[f'same {name}'] / max(1, row['same']):.1%})" for name in RULES]
        print(
            f"{variation:8} {row['pairs']:5} ({row['same']:4}) {cells[0]:>16} {cells[1]:>16} {row['untold']:20}",
            flush=True,
        )
        is_better &= row["speaking"] > row["largest"]
    return 0 if is_better else 1


if __name__ == "__main__":
    sys.exit(main())
