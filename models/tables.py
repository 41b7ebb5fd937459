"""Tables and counts in plain text; the store has its own helpers, since neither package imports the other."""

from collections.abc import Collection, Sequence


def render_table(rows: Sequence[Sequence[str]], right: Collection[int] = ()) -> str:
    """Lay out rows, the titles first, in columns as wide as they need to be.

    >>> print(render_table([("name", "size"), ("a", "7"), ("bcdef", "12")], right=(1,)))
    name   size
    a         7
    bcdef    12
    """
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [c.rjust(w) if k in right else c.ljust(w) for k, (c, w) in enumerate(zip(row, widths, strict=True))]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def format_count(count: int, one: str, many: str = "") -> str:
    """Return a count with its noun; the plural `many` is by default `one` with an s.

    >>> format_count(1, "step"), format_count(2, "step"), format_count(0, "loss", "losses")
    ('1 step', '2 steps', '0 losses')
    """
    return f"{count} {one}" if count == 1 else f"{count} {many or f'{one}s'}"
