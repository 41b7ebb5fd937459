"""Utterances that are parts of a whole recording: a row's `start` and `end` as times."""

import math

Cut = tuple[float, float]


def parse_cut(start: str | None, end: str | None) -> Cut:
    """Read a row's `start` and `end`, in seconds of the recording or as `m:ss` or `h:mm:ss`.

    >>> parse_cut("62.5", "1:05"), parse_cut("0", "1:00:00.04")
    ((62.5, 65.0), (0.0, 3600.04))

    Raises:
        ValueError: One of them is missing, not a number, or negative, or the part is empty.
    """
    if not start or not end:
        absent = " and ".join(name for name, text in (("start", start), ("end", end)) if not text)
        raise ValueError(f"{absent} is empty" if start or end else "start and end are empty")
    first, last = _parse_seconds("start", start), _parse_seconds("end", end)
    if first >= last:
        raise ValueError(f"start is {start} and end is {end}; start must be before end")
    return first, last


def _parse_seconds(name: str, text: str) -> float:
    parts = text.split(":")
    try:
        numbers = [float(part) for part in parts]
    except ValueError:
        numbers = [math.nan]
    seconds = sum(number * 60.0**place for place, number in enumerate(reversed(numbers)))
    whole = all(number == int(number) for number in numbers[:-1] if math.isfinite(number))
    is_clock = all(number < 60 for number in numbers[1:])
    if len(parts) > 3 or not math.isfinite(seconds) or min(numbers) < 0 or not whole or not is_clock:
        raise ValueError(
            f"{name} is {text!r}; it must be seconds of the recording, 0 or more, such as 62.5, or m:ss or h:mm:ss"
        )
    return seconds
