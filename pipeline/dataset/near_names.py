"""Names that nearly equal a missing clip's: another case, an invisible character, or a number made by a spreadsheet."""

import functools
import re
import unicodedata
from collections.abc import Collection

from pipeline.dataset.names import LONGEST_NAME_BYTES, show

# A large number as a spreadsheet shows it: the video 5e44 becomes 5E+44.
_AS_NUMBER = re.compile(r"([0-9])(?:[.,]([0-9]+))?E\+([0-9]+)")
_NUMBER = re.compile(r"[0-9]+(?:\.[0-9]+)?(?:[eE]\+?[0-9]{1,3})?")


class NearNames:
    """The existing names, among which nearly equal ones are searched.

    Args:
        names: Without endings, composed. They are read once, and only when a name is missing.
    """

    def __init__(self, names: Collection[str]) -> None:
        self._names = names

    def explain(self, name: str) -> str:
        """Say in one clause which existing name nearly equals a name (composed, without ending); "" if none does."""
        if len(name.encode(errors="surrogatepass")) > LONGEST_NAME_BYTES:
            return f"its name is longer than the {LONGEST_NAME_BYTES} bytes that file systems allow; rename it"
        return self._explain_number(name) or self._explain_look_alike(name)

    def _explain_number(self, name: str) -> str:
        match = _AS_NUMBER.fullmatch(name)
        if match is None:
            return ""
        decimals = f".{match[2]}" if match[2] else ""
        meant = self._by_number(len(match[2] or "")).get(f"{match[1]}{decimals}E+{int(match[3]):02d}")
        told = f"of the name {show(meant)}, which is there" if meant else "of a name such as 5e44"
        return f"{name} looks like what a spreadsheet makes {told}; keep that column as text"

    def _explain_look_alike(self, name: str) -> str:
        near = self._by_skeleton.get(_skeleton(name))
        if near is None:
            return ""
        if near.lower() == name.lower():  # `casefold` would turn a ligature into its letters
            return f"{show(near)} is there, which differs in upper and lower case"
        for one, whose in ((name, "the CSV file's name"), (near, "its name")):
            hidden = sorted({c for c in one if _is_invisible(c) and c != " "})
            if hidden:
                told = f"U+{ord(hidden[0]):04X} ({unicodedata.name(hidden[0], 'no name')})"
                return f"{show(near)} is there; {whose} holds the invisible character {told}"
        return f"{show(near)} is there, which looks the same but has other characters"

    @functools.cached_property
    def _by_skeleton(self) -> dict[str, str]:
        return {_skeleton(name): name for name in self._names}

    def _by_number(self, digits: int) -> dict[str, str]:
        """Return the names that a spreadsheet turns into numbers, by the text that it shows with so many decimals."""
        numbers = [name for name in self._names if _NUMBER.fullmatch(name)]
        return {f"{float(name):.{digits}E}": name for name in numbers}


def _skeleton(name: str) -> str:
    """Return a name without the differences of case, blanks, invisible characters and look-alike forms."""
    if not name.isascii():
        name = unicodedata.normalize("NFKC", name)
    return "".join(c for c in name.casefold() if not _is_invisible(c))


def _is_invisible(character: str) -> bool:
    is_variation_selector = 0xFE00 <= ord(character) <= 0xFE0F
    return is_variation_selector or unicodedata.category(character) in ("Cf", "Cc", "Zs", "Zl", "Zp")
