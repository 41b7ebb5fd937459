"""CSV files as people and spreadsheets write them: a BOM, CRLF, blanks around names, commas, semicolons or tabs."""

import csv
import io
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

DELIMITERS = ",;\t"


def read_rows(path: Path, problems: list[str]) -> Iterator[tuple[int, list[str]]]:
    """Yield (line, trimmed cells) of every row that is not an empty line; the first one is the header."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        problems.append(f"{path}: cannot be read: {error.strerror}")
        return
    except UnicodeDecodeError as error:
        line = path.read_bytes()[: error.start].count(b"\n") + 1
        problems.append(f"{path}:{line}: not UTF-8; save the file as UTF-8")
        return
    first_line = text.lstrip().partition("\n")[0]
    delimiter = max(DELIMITERS, key=first_line.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    line = 1
    try:
        for cells in reader:
            if cells:
                yield line, list(map(str.strip, cells))
            line = reader.line_num + 1
    except csv.Error as error:
        problems.append(f"{path}:{line}: not a row of CSV: {error}; is a quote unclosed?")


def find_columns(
    path: Path, header: Sequence[str], *, required: Sequence[str], optional: Collection[str], problems: list[str]
) -> dict[str, int] | None:
    """Return the place of each known column. If one is missing or doubled: None, and the reason goes to `problems`.

    Names are compared without regard to case; columns that are neither required nor optional are ignored.
    """
    names = [name.casefold() for name in header]
    counts = Counter(name for name in names if name in required or name in optional)
    found = [f"{path}:1: column {name} occurs {count} times" for name, count in counts.items() if count > 1]
    found += [
        f"{path}:1: column {name} is missing; the file has {', '.join(filter(None, header))}"
        for name in required
        if not counts[name]
    ]
    problems += found
    return None if found else {name: names.index(name) for name in counts}
