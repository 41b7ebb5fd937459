"""Text for output: made safe for a terminal and for a spreadsheet, whoever wrote it; tables, sizes, times."""

import datetime
import re
import unicodedata
from collections.abc import Iterable, Sequence

# Characters that control a terminal, or change the order of the text that is read: control characters, lone surrogates,
# line separators, direction marks.
_UNSAFE = re.compile("[\\x00-\\x1f\\x7f-\\x9f\\u061c\\u200e\\u200f\\u2028-\\u202e\\u2066-\\u2069\\ud800-\\udfff]")
_CONTROL = re.compile("[\\x00-\\x1f\\x7f-\\x9f\\ud800-\\udfff]")
# A spreadsheet takes such a cell for a formula, also behind the apostrophes that `guard_cell` adds.
_FORMULA = re.compile(r"'*[=+\-@\t\r]")
_FORMULA_STARTS = frozenset("'=+-@\t\r")
# Characters without a column: combining marks, invisible joiners. Characters of two columns: East Asian ones, emoji.
_NO_COLUMN = frozenset(("Mn", "Me", "Cf"))
_WIDE = frozenset("WF")
_WORD = re.compile("( *)([^ ]+)")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|[+-]?(inf|nan)")


def escape(text: str) -> str:
    r"""Give text in one line; characters that control a terminal are replaced by their numbers.

    >>> escape("a\x1b[2J\nb")
    'a\\x1b[2J\\x0ab'
    """
    return _UNSAFE.sub(_as_number, text)


def escape_lines(text: str) -> str:
    """Escape each line of a text of several."""
    return "\n".join(map(escape, text.split("\n")))


def wrap(line: str, width: int) -> str:
    """Break a line between words if it is wider than the terminal; the lines that follow are indented.

    A word that is longer, such as a path, stays whole, so that it can be copied.

    >>> print(wrap("  a few short words", 12))
      a few
        short
        words
    """
    if count_columns(line) <= width:
        return line
    blanks = len(line) - len(line.lstrip(" "))
    indent = " " * (blanks + 2 if blanks < width // 2 else 0)
    lines = [""]
    for gap, word in _WORD.findall(line):
        if lines[-1] and count_columns(lines[-1] + gap + word) > width:
            lines.append("")
            gap = indent
        # A path that fits into a line only without the indent is not indented.
        lines[-1] += gap + word if lines[-1] or count_columns(gap + word) <= width else word
    return "\n".join(lines)


def count_columns(text: str) -> int:
    """Count the columns of a terminal that text takes: two for a wide letter, none for a mark on the one before.

    >>> count_columns("ab"), count_columns("表情"), count_columns("u\u0308")
    (2, 4, 1)
    """
    if text.isascii():
        return len(text)
    return sum(map(_count_letter, text))


def _count_letter(letter: str) -> int:
    if unicodedata.category(letter) in _NO_COLUMN:
        return 0
    return 2 if unicodedata.east_asian_width(letter) in _WIDE else 1


def pad(text: str, width: int, *, right: bool = False) -> str:
    """Add blanks to text up to a number of columns: behind it, or in front of it if `right`.

    >>> pad("表", 4), pad("表", 4, right=True)
    ('表  ', '  表')
    """
    blanks = " " * (width - count_columns(text))
    return blanks + text if right else text + blanks


def escape_json(text: str) -> str:
    """Escape JSON text; outside of its strings, JSON has no such characters except newlines."""
    return re.sub(rf"(?!\n){_UNSAFE.pattern}", lambda found: f"\\u{ord(found[0]):04x}", text)


def format_count(count: int, one: str, many: str = "") -> str:
    """Give a number with the words after it.

    Args:
        count: The number.
        one: The words after 1: a noun, perhaps with its verb.
        many: The words after any other number; "" for `one` with an s.

    >>> format_count(1, "clip"), format_count(2, "clip"), format_count(0, "clip is", "clips are")
    ('1 clip', '2 clips', '0 clips are')
    """
    return f"{count} {one}" if count == 1 else f"{count} {many or f'{one}s'}"


def _as_number(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"


def guard_cell(value: object) -> str:
    """Give a value as a cell of a CSV file; an apostrophe is put before text that a spreadsheet takes for a formula.

    Control characters are replaced by their numbers. Direction marks, which may be part of a name, and numbers stay.

    >>> guard_cell("=1+1"), guard_cell("-1.5"), guard_cell("-Xy"), guard_cell("'=1")
    ("'=1+1", '-1.5', "'-Xy", "''=1")
    """
    text = str(value)
    if not text.isprintable():
        text = _CONTROL.sub(_as_number, text)
    return f"'{text}" if text[:1] in _FORMULA_STARTS and _FORMULA.match(text) and not _NUMBER.fullmatch(text) else text


def guard_column(values: Sequence[object]) -> Sequence[object]:
    """Guard a whole column as `guard_cell` does a cell, in a tenth of the time; numbers and None stay as they are.

    >>> guard_column(["a", "=1+1", 5, None])
    ['a', "'=1+1", 5, None]
    """
    texts = [value for value in values if isinstance(value, str)]
    # Nearly all columns need no guard: no cell begins like a formula or has a character that controls a terminal.
    if "".join(texts).isprintable() and _FORMULA_STARTS.isdisjoint({text[:1] for text in texts}):
        return values
    return [guard_cell(value) if isinstance(value, str) else value for value in values]


def read_cell(text: str) -> str:
    """Give the text back from which `guard_cell` made a cell.

    >>> read_cell("'=1+1"), read_cell("'tis"), read_cell("-1.5")
    ('=1+1', "'tis", '-1.5')
    """
    return text[1:] if text.startswith("'") and _FORMULA.match(text) else text


def render_table(titles: Sequence[str], rows: Iterable[Sequence[str]], right: Iterable[int] = ()) -> str:
    """Lay out a table in columns as wide as they need to be.

    Args:
        titles: The columns' titles.
        rows: The cells; each row has as many as there are titles.
        right: Numbers of the right-aligned columns, from 0.
    """
    right = set(right)
    table = [[escape(cell) for cell in row] for row in (titles, *rows)]
    widths = [max(count_columns(row[column]) for row in table) for column in range(len(titles))]
    lines = []
    for row in table:
        cells = [pad(c, w, right=k in right) for k, (c, w) in enumerate(zip(row, widths, strict=True))]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def format_bytes(count: int) -> str:
    """Give a number of bytes in a unit of suitable size (powers of 1000)."""
    value = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000:
            return f"{value:.0f} B" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} TB"


def format_time(seconds: float) -> str:
    """Give a time in seconds since 1970 as UTC, to the minute; outside of the calendar, as seconds."""
    try:
        return datetime.datetime.fromtimestamp(seconds, datetime.UTC).strftime("%Y-%m-%d %H:%M")
    except (ValueError, OverflowError, OSError):
        return f"{seconds:.0f} s after 1970"
