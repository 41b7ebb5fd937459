"""Tables of plain text; the store has its own helper, since neither package imports the other."""

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
