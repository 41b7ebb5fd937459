"""The demo's data set: synthetic talking faces with labels that can be learnt, in the layout of OMG-Emotion.

`python -m pipeline.demo FOLDER [--seed N]` writes `<FOLDER>/videos/<video>/utterance_N.mp4` and three CSV files with
the official headers. No speaker is in two splits. A finished folder is left as it is; an unfinished one is completed.
The same seed gives the same files, however many processors work on them.
"""

import argparse
import csv
import io
import itertools
import json
import os
import sys
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from store.files import write_text
from store.json_files import read_object
from store.text import format_count

VERSION = 1
"""Version of the synthesis: raise it with every change to the clips or the labels."""

LABEL_NOISE = 0.05
"""Standard deviation of the raters' error, so that no network can predict a label exactly."""

CSV_NAMES = {
    "train": "omg_TrainVideos.csv",
    "validation": "omg_ValidationVideos.csv",
    "test": "omg_TestVideos_WithoutLabels.csv",
}
"""The official names of the CSV files."""

_HEADER = ["link", "start", "end", "video", "utterance", "arousal", "valence", "EmotionMaxVote"]
_UNLABELLED = 5  # the test file stops after the fifth column


class DemoError(Exception):
    """The folder cannot become the demo's; the text says why and what to do."""


@dataclass(frozen=True)
class SplitSize:
    """How large a split is: people, videos of each, utterances in each video."""

    speakers: int
    videos: int
    utterances: int


SIZES = {"train": SplitSize(14, 2, 5), "validation": SplitSize(10, 2, 5), "test": SplitSize(4, 1, 5)}
"""140, 100 and 20 clips. With fewer than 100 validation clips, the total CCC would vary by more than a tenth."""


@dataclass(frozen=True)
class DemoClip:
    """One clip to be made.

    Args:
        split: train, validation or test.
        speaker: Number of the speaker, over all splits.
        video: Name of the video.
        utterance: Number of the utterance in its video, from 1.
        arousal: True arousal, in [0, 1], without the raters' error.
        valence: True valence, in [-1, 1], without the raters' error.
        labels: Arousal and valence as rated: with error, cut to their ranges.
    """

    split: str
    speaker: int
    video: str
    utterance: int
    arousal: float
    valence: float
    labels: tuple[float, float]

    @property
    def path(self) -> Path:
        """Where the clip lies below the folder of videos."""
        return Path(self.video) / f"utterance_{self.utterance}.mp4"


def plan_clips(seed: int, sizes: dict[str, SplitSize] = SIZES) -> list[DemoClip]:
    """Decide on all clips and their labels.

    Args:
        seed: Any number from 0.
        sizes: Size of each split.

    Returns:
        The clips, split by split, video by video.
    """
    clips, numbers = [], itertools.count()
    for split, size in sizes.items():
        for speaker in itertools.islice(numbers, size.speakers):
            for video in range(1, size.videos + 1):
                clips += _plan_video(seed, split, speaker, video, size.utterances)
    return clips


def _plan_video(seed: int, split: str, speaker: int, video: int, num_utterances: int) -> list[DemoClip]:
    """Decide on the utterances of one video, evenly over the range of both labels."""
    rng = np.random.default_rng([seed, speaker, video])
    steps = (np.arange(num_utterances) + rng.uniform(size=(2, num_utterances))) / num_utterances
    arousal, valence = rng.permuted(steps, axis=1)
    valence = 2 * valence - 1
    errors = rng.normal(0, LABEL_NOISE, size=(2, num_utterances))
    rated = np.clip(arousal + errors[0], 0, 1), np.clip(valence + errors[1], -1, 1)
    return [
        DemoClip(
            split=split,
            speaker=speaker,
            video=f"speaker{speaker:02d}_{video}",
            utterance=i + 1,
            arousal=float(arousal[i]),
            valence=float(valence[i]),
            labels=(float(rated[0][i]), float(rated[1][i])),
        )
        for i in range(num_utterances)
    ]


def write_demo(folder: Path, *, seed: int = 0, sizes: dict[str, SplitSize] = SIZES, threads: int | None = None) -> int:
    """Make the data set, or the missing part of it.

    Args:
        folder: Folder of the data set; made if it is missing.
        seed: Decides everything random.
        sizes: Size of each split.
        threads: How many clips are made at once; None for one per processor. The files do not depend on it.

    Returns:
        How many clips were made; 0 for a finished folder.

    Raises:
        DemoError: The folder holds a demo of another seed, size or version, or its demo.json cannot be read.
    """
    _claim_folder(folder, seed, sizes)
    clips = plan_clips(seed, sizes)
    missing = [clip for clip in clips if not (folder / "videos" / clip.path).exists()]
    if missing:
        with ThreadPoolExecutor(threads or len(os.sched_getaffinity(0))) as pool:
            list(pool.map(lambda clip: write_demo_clip(folder / "videos" / clip.path, clip, seed), missing))
    for split, name in CSV_NAMES.items():
        if not (folder / name).exists():
            write_text(folder / name, format_csv([clip for clip in clips if clip.split == split], split))
    return len(missing)


def write_demo_clip(target: Path, clip: DemoClip, seed: int) -> None:
    """Act out one clip and write it to `target`, whose folders are made."""
    # Imported here: a finished folder is to be recognised without loading OpenCV and PyAV.
    from pipeline.demo.acting import FRAME_RATE, direct_delivery, direct_performance, invent_speaker
    from pipeline.demo.face import render_frames
    from pipeline.demo.voice import SAMPLE_RATE, synthesise_speech
    from pipeline.media import write_clip

    speaker = invent_speaker(np.random.default_rng([seed, clip.speaker]))
    rng = np.random.default_rng([seed, clip.speaker, int(clip.video.rpartition("_")[2]), clip.utterance])
    speech = synthesise_speech(speaker.voice, direct_delivery(clip.arousal, clip.valence, rng), rng)
    performance = direct_performance(clip.arousal, clip.valence, speech.opening, rng)
    target.parent.mkdir(parents=True, exist_ok=True)
    frames = render_frames(speaker.look, performance, rng)
    write_clip(target, frames, frame_rate=FRAME_RATE, samples=speech.samples, sample_rate=SAMPLE_RATE)


def format_csv(clips: Iterable[DemoClip], split: str) -> str:
    """Write clips as OMG-Emotion's CSV files are written; the test split's has no labels."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(_HEADER[:_UNLABELLED] if split == "test" else _HEADER)
    for clip in clips:
        arousal, valence = clip.labels
        row = ["synthetic", "0", "0", clip.video, clip.path.name]
        row += [f"{arousal:.6f}", f"{valence:.6f}", str(_name_emotion(arousal, valence))]
        writer.writerow(row[:_UNLABELLED] if split == "test" else row)
    return out.getvalue()


def _name_emotion(arousal: float, valence: float) -> int:
    """Return the official number of the emotion nearest to the labels (0 anger, 3 happy, 4 neutral, 5 sad)."""
    if abs(valence) < 0.25:
        return 4
    if valence > 0:
        return 3
    return 0 if arousal > 0.5 else 5


def _claim_folder(folder: Path, seed: int, sizes: dict[str, SplitSize]) -> None:
    """Record the demo's seed, version and size in the folder, or compare them with the recorded ones."""
    wanted = {"seed": seed, "version": VERSION, "clips": len(plan_clips(seed, sizes))}
    marker = folder / "demo.json"
    if not marker.exists():
        folder.mkdir(parents=True, exist_ok=True)
        write_text(marker, json.dumps(wanted) + "\n")
        return
    try:
        found = read_object(marker)
    except ValueError as error:
        raise DemoError(f"{marker} cannot be read: {error}; remove {folder} or name another folder") from error
    if found != wanted:
        raise DemoError(
            f"{folder} holds a demo with {found}, not the {wanted} asked for: remove it or name another folder"
        )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m pipeline.demo", description="Make the synthetic demo data set.")
    parser.add_argument("folder", type=Path, help="where to write videos/ and the CSV files")
    parser.add_argument("--seed", type=int, default=0, help="decides everything random (default: 0)")
    options = parser.parse_args(arguments)
    if options.seed < 0:
        parser.error(f"--seed is {options.seed}, it must be 0 or more")
    try:
        made = write_demo(options.folder, seed=options.seed)
    except (DemoError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    total = sum(1 for _ in plan_clips(options.seed))
    print(f"{options.folder}: {format_count(made, 'clip')} made, {total - made} there already")
    return 0
