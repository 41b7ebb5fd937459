"""Each message of docs/troubleshooting.md is one that the code has."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def test_every_message_is_in_the_code():
    rows = re.findall(
        r"^\| (`.*?) \|", (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8"), re.MULTILINE
    )
    code = "".join(
        path.read_text(encoding="utf-8")
        for package in ("pipeline", "store", "models", "valar")
        for path in (ROOT / package).rglob("*.py")
    )
    # A sentence may be written in two strings, one below the other.
    code = re.sub(r'"\s+f?"', "", code)
    parts = [part for row in rows for part in re.findall(r"`(.*?)`", row)]
    assert len(rows) >= 9
    assert [part for part in parts if part not in code] == []
