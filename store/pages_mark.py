"""The file that marks a folder of pages made by `browse`, and what may be in such a folder."""

import hashlib
import os
import re
from pathlib import Path

from store import files
from store.errors import StoreError
from store.json_files import check_text, reading_json
from store.layout import is_own_folder

PAGES_MARK = "valar-pages.json"
#: Files that are the same in every folder of pages.
STATIC_FILES = ("pages.css", "index.js", "clip.js")
_FILES = {PAGES_MARK, "index.html", "data.js", "made.json", *STATIC_FILES}
#: Earlier releases numbered the pages.
_PAGE = re.compile(r"(?:[0-9a-f]{16}\.(?:html|jpg)|[0-9]{1,9}\.html)", re.ASCII)


def page_number(utterance: str) -> str:
    """Give the name of an utterance's page, 16 hexadecimal digits; it does not depend on the other utterances."""
    return hashlib.sha256(utterance.encode()).hexdigest()[:16]


def is_page_name(name: str) -> bool:
    """Tell whether a file in `clips` is one that `browse` wrote, by its name."""
    return _PAGE.fullmatch(name) is not None


def write_mark(folder: Path, run: str) -> None:
    """Mark a folder as one of pages."""
    files.write_json(folder / PAGES_MARK, {"run": run})


def find_pages(root: Path) -> list[Path]:
    """Find the folders of pages inside of a store, following no link.

    Raises:
        StoreError: A mark is in one of the store's own folders, where no pages can be, or its content is damaged.
    """
    found = []
    for folder, _, names in os.walk(root):
        if PAGES_MARK in names:
            here = Path(folder)
            mark = here / PAGES_MARK
            if here == root or is_own_folder(here.relative_to(root).parts[0]):
                raise StoreError(f"{mark} is in the store itself, which is not a folder of pages; remove that file")
            with reading_json(mark, None, "remove it if its folder holds no pages") as value:
                check_text(value["run"], "run")
            found.append(here)
    return sorted(found)


def list_pages(folder: Path) -> list[Path]:
    """List the files that `browse` has written to a folder of pages; other files in it are left out."""
    clips = folder / "clips"
    found = [folder / name for name in sorted(_FILES)]
    if not clips.is_symlink():
        found += sorted(path for path in clips.iterdir() if is_page_name(path.name)) if clips.is_dir() else []
    return [path for path in found if path.is_file() and not path.is_symlink()]
