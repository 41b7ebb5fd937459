"""The ledger: every utterance of the CSV files with a status for its sound and one for its picture."""

import csv
import io
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from operator import attrgetter
from pathlib import Path
from typing import Any

from pipeline.dataset.utterances import Utterance
from pipeline.process import collecting_later
from pipeline.runs.run import Run, has_rows
from store import files
from store.labels import LEDGER_COLUMNS
from store.text import guard_cell, guard_column, read_cell

#: Statuses of utterances whose rows can be used.
USABLE = frozenset({"ok", "source_missing"})


@dataclass(frozen=True)
class FeatureState:
    """The state of one declared feature of an utterance: status, number of rows, and a sentence or ""."""

    status: str
    num_rows: int
    message: str

    @property
    def is_there(self) -> bool:
        """Whether it has rows, and all of them: a feature that is incomplete has another status."""
        return self.num_rows > 0 and self.status in USABLE


@dataclass(slots=True)
class LedgerRow:
    """The state of one utterance: what was made of its sound and of its picture.

    Do not change a row. The class is not frozen for the same reason as `Utterance`.

    Args:
        utterance: video/utterance without the file's ending.
        split: train, validation or test.
        sound: Status of its sound.
        picture: Status of its picture.
        num_stft_frames: Number of STFT rows, 100 for each second.
        num_faces: Number of video frames with the speaker's face.
        sound_message: One sentence, or "".
        picture_message: One sentence, or "".
        shard: Id of the shard that holds its rows, or "".
        source_sha256: sha256 of its file, or "".
        arousal: Its label in the CSV file, None where there is none.
        valence: Its label in the CSV file, None where there is none.
        override: The overrides that change its rows (`pipeline.dataset.overrides`), or "".
        more: Its cells in the CSV file's further columns, by the column's name.
        features: The state of each declared feature, by stage.
    """

    utterance: str
    split: str
    sound: str
    picture: str
    num_stft_frames: int = 0
    num_faces: int = 0
    sound_message: str = ""
    picture_message: str = ""
    shard: str = ""
    source_sha256: str = ""
    arousal: float | None = None
    valence: float | None = None
    override: str = ""
    more: Mapping[str, str] = field(default_factory=dict)
    features: Mapping[str, FeatureState] = field(default_factory=dict)

    @property
    def identity(self) -> str:
        """What its rows are made of, apart from settings: the sha256 of its file, and its overrides."""
        return f"{self.source_sha256} {self.override}" if self.override else self.source_sha256

    @property
    def has_sound(self) -> bool:
        """Whether there are STFT rows."""
        return self.num_stft_frames > 0

    @property
    def has_face(self) -> bool:
        """Whether there are embeddings."""
        return self.num_faces > 0


#: One for all the clips of a run without declared features.
_NO_FEATURES: Mapping[str, FeatureState] = {}


@collecting_later()
def read_ledger(run: Run) -> dict[str, LedgerRow]:
    """Read every listed utterance's statuses from the store, in the order of the CSV files."""
    return {listed.name: _read_row(run, listed) for listed in run.dataset.utterances}


def _read_row(run: Run, listed: Utterance) -> LedgerRow:
    name, split, labels = listed.name, listed.split, (listed.arousal, listed.valence)
    shard = run.plan.assigned.get(name)
    if shard is None:
        message = run.erased.get(name) or run.hindered.get(name) or f"there is no such file in {run.videos}"
        return LedgerRow(
            name, split, "missing_file", "missing_file", 0, 0, message, message, "", "", *labels, more=listed.more
        )
    sound, sound_message, num_stft_frames, sound_digest = _state(run, "stft", shard, name)
    picture, picture_message, num_faces, picture_digest = _state(run, "embeddings", shard, name)
    digest = sound_digest or picture_digest
    states = {stage: FeatureState(*_state_of_feature(run, stage, shard, name)) for stage in run.features}
    return LedgerRow(
        name,
        split,
        sound,
        picture,
        num_stft_frames,
        num_faces,
        sound_message,
        picture_message,
        shard,
        digest,
        *labels,
        override=run.plan.overrides.get(name, ""),
        more=listed.more,
        features=states or _NO_FEATURES,
    )


def _state_of_feature(run: Run, stage: str, shard: str, name: str) -> tuple[str, int, str]:
    status, message, num_rows, _ = _state(run, stage, shard, name)
    return status, num_rows, message


def _state(run: Run, stage: str, shard: str, name: str) -> tuple[str, str, int, str]:
    """Give status, message, number of rows and digest of one utterance in one stage."""
    rows, has_vanished = run.table(stage, shard), name in run.plan.vanished
    state = ("missing_file", "", 0, "") if rows is None else rows.row(name)
    if state[0] != "missing_file" and not has_vanished:
        return state
    gone = run.hindered.get(name, "the file is gone")
    status, message, length, digest = state
    if status == "missing_file":
        if has_vanished and has_rows(run.store, stage, shard, name):
            return "source_missing", f"{gone}, and its features were made under other settings", 0, ""
        return "missing_file", gone if has_vanished or rows is None else message, 0, ""
    if status == "ok":
        status, message = "source_missing", f"{gone}; its features are kept"
    return status, message, length, digest


def find_bad(rows: Iterable[LedgerRow]) -> list[LedgerRow]:
    """Pick the utterances whose file exists but whose sound or picture cannot be used."""
    return [
        row for row in rows if "missing_file" not in (row.sound, row.picture) and not {row.sound, row.picture} <= USABLE
    ]


def count_statuses(rows: Iterable[LedgerRow]) -> dict[tuple[str, str], Counter[str]]:
    """Count statuses by (split, "sound" or "picture")."""
    counts: dict[tuple[str, str], Counter[str]] = {}
    for (split, sound, picture), number in Counter((row.split, row.sound, row.picture) for row in rows).items():
        counts.setdefault((split, "sound"), Counter())[sound] += number
        counts.setdefault((split, "picture"), Counter())[picture] += number
    return counts


@collecting_later()
def format_ledger(rows: Iterable[LedgerRow]) -> str:
    """Give the ledger as CSV, one row per utterance, in the order given.

    The columns of declared features follow the ledger's own columns, and then the further columns of the CSV files. A
    column of the CSV files that has the name of an earlier column gets `csv_` in front of its name.
    """
    rows = list(rows)
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    stages = list(dict.fromkeys(stage for row in rows for stage in row.features))
    names = [*LEDGER_COLUMNS, *(f"{stage}_{fact.name}" for stage in stages for fact in fields(FeatureState))]
    more = list(dict.fromkeys(column for row in rows for column in row.more))
    writer.writerow([*names, *(guard_cell(f"csv_{column}" if column in names else column) for column in more)])
    columns = [list(map(attrgetter(name), rows)) for name in LEDGER_COLUMNS]
    for stage in stages:
        states = [row.features.get(stage, _NEVER_MADE) for row in rows]
        columns += [list(map(attrgetter(fact.name), states)) for fact in fields(FeatureState)]
    columns += [[row.more.get(column, "") for row in rows] for column in more]
    writer.writerows(zip(*map(guard_column, columns), strict=True))
    return text.getvalue()


#: The state of a feature for utterances that are in no shard.
_NEVER_MADE = FeatureState("missing_file", 0, "")


def parse_ledger(text: str) -> dict[str, LedgerRow]:
    """Read what `format_ledger` wrote, also in an earlier release: the ledger's own columns, by utterance.

    The columns of declared features and of the CSV files are left out.

    Raises:
        ValueError: The text is not a ledger, a row is too short, or a cell that must be a number is not one.
    """
    reader = csv.DictReader(io.StringIO(text, newline=""))
    known = {each.name: each for each in fields(LedgerRow) if each.name in LEDGER_COLUMNS}
    if not {"utterance", "split", "sound", "picture"} <= set(reader.fieldnames or ()):
        raise ValueError("it does not have the columns of a ledger")
    found = {}
    for cells in _reading(reader):
        values: dict[str, Any] = {}
        for name, cell in cells.items():
            if name in known and cell is not None:
                values[name] = _parse_cell(read_cell(cell), known[name].default)
        try:
            found[values["utterance"]] = LedgerRow(**values)
        except (TypeError, KeyError) as error:
            raise ValueError(f"line {reader.line_num} has fewer cells than a ledger's") from error
    return found


def _reading(reader: "csv.DictReader[str]") -> Iterator[dict[str, Any]]:
    """Give the rows; raise ValueError where the text cannot be read as CSV."""
    try:
        yield from reader
    except csv.Error as error:
        raise ValueError(str(error)) from error


def _parse_cell(cell: str, default: Any) -> Any:
    if default is None:
        return float(cell) if cell else None
    return int(cell) if isinstance(default, int) else cell


def write_ledger(rows: Iterable[LedgerRow], path: Path) -> None:
    """Write the ledger as CSV."""
    files.write_text(path, format_ledger(rows))
