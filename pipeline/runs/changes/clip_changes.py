"""How the clips of two runs differ, in names and numbers: added, removed, relabelled and so on. Reads no file."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from pipeline.runs.outcome.ledger import LedgerRow
from store.text import format_count

#: The number of clips that are named for each kind of change; the others are counted.
MOST_NAMED = 3
#: Stands for the content of a clip that has not been read yet.
UNREAD = "not read yet"


@dataclass(frozen=True)
class ClipFacts:
    """The facts of a clip that are compared.

    Attributes:
        split: train, validation or test.
        arousal: its label, None where there is none.
        valence: its label, None where there is none.
        content: what its rows are made of: the sha256 of its file, and after a space its overrides; "" where it is not
            known.
        state: the statuses of its sound and its picture in words, "" where they are not compared.
    """

    split: str
    arousal: float | None
    valence: float | None
    content: str
    state: str = ""

    @classmethod
    def of_ledger(cls, row: LedgerRow) -> "ClipFacts":
        """Take the facts from a ledger's row."""
        state = "" if row.sound == row.picture == "ok" else f"sound {row.sound}, picture {row.picture}"
        return cls(row.split, row.arousal, row.valence, row.identity, state or "ok")


def describe_clip_changes(
    before: Mapping[str, ClipFacts], now: Mapping[str, ClipFacts], gone_to: Mapping[str, str] | None = None
) -> list[str]:
    """Say what differs, in one phrase for each kind of change.

    Args:
        before: the earlier clips, by name.
        now: the clips of today, by name.
        gone_to: for clips that are not in `now`, by name: the split in which they are now, or why they cannot be used.

    >>> facts = ClipFacts("train", 0.2, 0.1, "ab")
    >>> describe_clip_changes({"v/a": facts}, {"v/a": ClipFacts("train", 0.3, 0.1, "ab"), "v/b": facts})
    ['1 clip added (v/b)', '1 label changed (v/a: arousal 0.2 to 0.3)']
    """
    gone_to = gone_to or {}
    renamed = _find_renamed(before, now, gone_to)
    before = {renamed.get(name, name): facts for name, facts in before.items()}
    both = [name for name in now if name in before]
    removed = [name for name in before if name not in now]
    found = [
        _phrase([name for name in now if name not in before], "clip", "added"),
        _phrase([name for name in removed if name not in gone_to], "clip", "removed"),
        _phrase(
            [f"{name}: {before[name].split} to {gone_to[name]}" for name in removed if name in gone_to],
            "clip",
            "left out",
        ),
        _phrase([f"{old} to {new}" for old, new in renamed.items()], "clip", "renamed"),
        _phrase(_compare(both, before, now, lambda facts: facts.split), "clip", "moved"),
        _phrase(_compare_labels(both, before, now), "label", "changed"),
        _phrase([name for name in both if _is_other_file(before[name], now[name])], "clip", "with other content"),
        _phrase(
            [name for name in both if _is_said_otherwise(before[name], now[name])],
            "clip",
            "with another cut or override",
        ),
        _phrase(_compare(both, before, now, lambda facts: facts.state), "clip", "in another state"),
    ]
    return [phrase for phrase in found if phrase]


def _find_renamed(
    before: Mapping[str, ClipFacts], now: Mapping[str, ClipFacts], gone_to: Mapping[str, str]
) -> dict[str, str]:
    """Find clips that have another name now: old name to a new name with the same content."""
    new: dict[str, list[str]] = {}
    for name in now:
        if name not in before and now[name].content not in ("", UNREAD):
            new.setdefault(now[name].content, []).append(name)
    gone = [name for name in before if name not in now and name not in gone_to]
    return {old: found.pop(0) for old in gone if (found := new.get(before[old].content))}


def _phrase(names: Iterable[str], noun: str, verb: str) -> str:
    """Give the phrase for one kind of change, such as "2 clips added (a, b)"; "" where there are no names."""
    listed = list(names)
    if not listed:
        return ""
    rest = f", and {len(listed) - MOST_NAMED} more" if len(listed) > MOST_NAMED else ""
    return f"{format_count(len(listed), noun)} {verb} ({', '.join(listed[:MOST_NAMED])}{rest})"


def _compare(
    names: Sequence[str], before: Mapping[str, ClipFacts], now: Mapping[str, ClipFacts], of: Callable[[ClipFacts], str]
) -> Iterator[str]:
    for name in names:
        one, other = of(before[name]), of(now[name])
        if one and other and one != other:
            yield f"{name}: {one} to {other}"


def _compare_labels(
    names: Sequence[str], before: Mapping[str, ClipFacts], now: Mapping[str, ClipFacts]
) -> Iterator[str]:
    for name in names:
        changes = [
            f"{dimension} {_number(one)} to {_number(other)}"
            for dimension in ("arousal", "valence")
            for one, other in [(getattr(before[name], dimension), getattr(now[name], dimension))]
            if one != other
        ]
        if changes:
            yield f"{name}: {' and '.join(changes)}"


def _number(value: float | None) -> str:
    return "none" if value is None else f"{value:g}"


def _is_other_file(one: ClipFacts, other: ClipFacts) -> bool:
    digests = [facts.content.partition(" ")[0] for facts in (one, other)]
    return all(digests) and digests[0] != digests[1]


def _is_said_otherwise(one: ClipFacts, other: ClipFacts) -> bool:
    return not _is_other_file(one, other) and bool(one.content and other.content) and one.content != other.content
