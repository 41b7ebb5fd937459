"""A user's decisions on single utterances: who speaks, and which streams of a file are used.

A CSV file, `[dataset] overrides`, with the columns video and utterance and any of

- speaker: a point `x y` inside the speaker's face, in pixels of the upright frame; a time `@seconds`, which means the
  largest face at that time; or both, `x y @seconds`
- audio_stream, video_stream: which of the file's sound or picture streams, counted from 0; cover art does not count
- rotation: 0, 90, 180 or 270 degrees, by which the pictures are turned clockwise, after the file's own rotation
- audio_channel: which channel of the sound, counted from 0, instead of a mix of all

An empty cell leaves the choice to the pipeline. The cells are part of the utterance's identity: if they change, only
this utterance's features are computed again. The same holds for the part of a whole recording (`start`, `end`).
"""

import difflib
import json
import re
from collections.abc import Collection
from dataclasses import asdict, dataclass
from pathlib import Path

from pipeline.dataset.csv_files import find_columns, read_rows
from pipeline.dataset.cuts import Cut
from pipeline.dataset.utterances import utterance_name
from pipeline.errors import UserError
from store.text import escape

REQUIRED = ("video", "utterance")
OPTIONAL = ("speaker", "audio_stream", "video_stream", "rotation", "audio_channel")
_ROTATIONS = (0, 90, 180, 270)
_NUMBER = r"\d+(?:\.\d+)?"
_SPEAKER = re.compile(rf"(?:({_NUMBER})[ ,;]+({_NUMBER}))?\s*(?:@\s*({_NUMBER}))?")


@dataclass(frozen=True)
class Override:
    """The user's decisions on one utterance; None where there is none.

    Attributes:
        point: (x, y) in pixels of the upright frame, inside the speaker's face.
        seconds: When, since the clip's origin.
        audio_stream: Which of the sound streams, from 0.
        video_stream: Which of the picture streams, from 0.
        rotation: Degrees by which pictures are turned clockwise, after the file's own rotation.
        audio_channel: Which channel of the sound, from 0.
        cut: Start and end of the utterance in seconds of its file, if that is a whole recording. `seconds` then counts
            from the cut's start.
    """

    point: tuple[float, float] | None = None
    seconds: float | None = None
    audio_stream: int | None = None
    video_stream: int | None = None
    rotation: int | None = None
    audio_channel: int | None = None
    cut: Cut | None = None

    @property
    def text(self) -> str:
        """Return one line that `parse_text` reads, the same for the same content; "" if there is no decision."""
        said = {name: value for name, value in asdict(self).items() if value is not None}
        return json.dumps(said, sort_keys=True) if said else ""

    @property
    def names_speaker(self) -> bool:
        """Tell whether the user decided who speaks."""
        return self.point is not None or self.seconds is not None


def parse_text(text: str) -> Override:
    """Read a line of `Override.text`."""
    values = json.loads(text) if text else {}
    for pair in {"point", "cut"} & set(values):
        values[pair] = tuple(values[pair])
    return Override(**values)


def read_overrides(path: Path, names: Collection[str]) -> dict[str, Override]:
    """Read the file.

    Args:
        path: The CSV file.
        names: Of all utterances.

    Raises:
        UserError: A column is missing, a cell cannot be understood, an utterance is unknown or has two rows. The error
            has all problems.
    """
    problems: list[str] = []
    found: dict[str, Override] = {}
    rows = list(read_rows(path, problems))
    columns = None
    if rows:
        columns = find_columns(path, rows[0][1], required=REQUIRED, optional=OPTIONAL, problems=problems)
    elif not problems:
        problems.append(f"{path}: the file is empty; its first line must name the columns {', '.join(REQUIRED)}")
    for line, cells in rows[1:] if columns else ():
        assert columns is not None
        values = {name: cells[index] if index < len(cells) else "" for name, index in columns.items()}
        name = utterance_name(values["video"], values["utterance"])
        try:
            if name in found:
                raise ValueError(f"utterance {name} has two rows; keep one")
            if name not in names:
                near = difflib.get_close_matches(name, names, 1, 0.6)
                hint = f"; did you mean {near[0]}?" if near else ""
                raise ValueError(f"utterance {name} is in none of the data set's files{hint}")
            found[name] = _parse_row(values)
        except ValueError as error:
            problems.append(f"{path}:{line}: {error}")
    if problems:
        raise UserError("\n".join(map(escape, problems)))
    return {name: override for name, override in found.items() if override.text}


def _parse_row(values: dict[str, str]) -> Override:
    point, seconds = parse_speaker(values.get("speaker", ""))
    return Override(
        point,
        seconds,
        audio_stream=_parse_stream("audio_stream", values),
        video_stream=_parse_stream("video_stream", values),
        rotation=parse_rotation(values.get("rotation", "")),
        audio_channel=_parse_stream("audio_channel", values),
    )


def parse_speaker(text: str) -> tuple[tuple[float, float] | None, float | None]:
    """Read who speaks: point and time; None for one that is not given.

    Raises:
        ValueError: It cannot be understood.
    """
    if not text:
        return None, None
    match = _SPEAKER.fullmatch(text)
    if match is None or not any(match.groups()):
        raise ValueError(
            f"speaker is {text!r}; it must be a point 'x y' in pixels, a time '@seconds', or both: 'x y @seconds'"
        )
    x, y, seconds = match.groups()
    return (float(x), float(y)) if x else None, float(seconds) if seconds else None


def parse_rotation(text: str) -> int | None:
    """Read a clockwise turn in degrees; None for an empty text or for 0.

    Raises:
        ValueError: The text is none of the four angles.
    """
    if text and text not in map(str, _ROTATIONS):
        raise ValueError(f"rotation is {text!r}; it must be 0, 90, 180 or 270, in degrees clockwise")
    return int(text) or None if text else None


def _parse_stream(column: str, values: dict[str, str]) -> int | None:
    text = values.get(column, "")
    if not text:
        return None
    if not text.isdecimal():
        raise ValueError(f"{column} is {text!r}; it must be a whole number; 0 is the first stream of its kind")
    return int(text)
