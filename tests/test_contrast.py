"""Colours of the pages: text on each of its grounds has a contrast of 4.5:1 and more, in light and dark (WCAG 2.2)."""

import re

import pytest

from tests.conftest import ROOT

PAGES = ROOT / "store" / "looking" / "templates" / "pages.css"
REPORT = ROOT / "pipeline" / "report" / "templates" / "report.css"
#: File, then colours of text and their grounds.
PAIRS = {
    PAGES: [
        (("ink", "soft", "link", "bad", "arousal", "valence"), ("ground", "wash")),
    ],
    REPORT: [
        (("ink", "soft", "link"), ("ground", "wash", "run")),
        (("ink", "warn"), ("warn-wash",)),
        (("ink",), ("caution",)),
    ],
}


def read_colours(text):
    """Give the variables of the light scheme and of the dark one."""
    light, dark = text.split("@media (prefers-color-scheme: dark)", 1)
    dark = dark[: dark.index("\n}")]
    return [dict(re.findall(r"--([\w-]+): (#[0-9a-f]{3,6})", part)) for part in (light, dark)]


def compute_luminance(colour):
    """Give the relative luminance of #rgb or #rrggbb, as WCAG 2.2 defines it."""
    digits = colour[1:] if len(colour) == 7 else "".join(2 * digit for digit in colour[1:])
    channels = [int(digits[k : k + 2], 16) / 255 for k in (0, 2, 4)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def compute_contrast(one, other):
    """Give the contrast of two colours, 1 to 21."""
    low, high = sorted(map(compute_luminance, (one, other)))
    return (high + 0.05) / (low + 0.05)


def test_the_contrast_is_wcags():
    assert compute_contrast("#fff", "#000000") == pytest.approx(21)
    assert compute_contrast("#767676", "#fff") == pytest.approx(4.54, abs=0.01)


@pytest.mark.parametrize("path", PAIRS, ids=lambda path: path.name)
def test_text_has_a_contrast_of_4_5_on_all_its_grounds(path):
    weak, seen = [], 0
    for scheme in read_colours(path.read_text(encoding="utf-8")):
        for texts, grounds in PAIRS[path]:
            for text in texts:
                for ground in grounds:
                    seen += 1
                    if compute_contrast(scheme[text], scheme[ground]) < 4.5:
                        weak.append((text, ground, round(compute_contrast(scheme[text], scheme[ground]), 2)))
    assert weak == []
    assert seen >= 24
