"""Every test that docs/security.md names is there."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def test_each_named_test_exists():
    rows = [line for line in (ROOT / "docs/security.md").read_text(encoding="utf-8").splitlines() if line[:1] == "|"]
    named = [path for row in rows for path in re.findall(r"`([\w/]*test_\w+\.py)`", row)]
    assert len(named) > 30
    places = [ROOT, ROOT / "tests/store", ROOT / "tests/pipeline"]
    assert [path for path in named if not any((place / path).is_file() for place in places)] == []
