"""The mark by which a folder of pages that `browse` made is known, and what may be in such a folder."""

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
#: The pages of earlier releases were counted.
_PAGE = re.compile(r"(?:[0-9a-f]{16}\.(?:html|jpg)|[0-9]{1,9}\.html)", re.ASCII)


def page_number(utterance: str) -> str:
    """Give the name of an utterance's page, which stays when others come and go: 16 hexadecimal digits."""
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
        StoreError: A mark lies where no pages can be: in the store's own folders, or its content is no mark's.
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
    """List the files of a folder of pages that `browse` has written; whatever else lies there is not among them."""
    clips = folder / "clips"
    found = [folder / name for name in sorted(_FILES)]
    if not clips.is_symlink():
        found += sorted(path for path in clips.iterdir() if is_page_name(path.name)) if clips.is_dir() else []
    return [path for path in found if path.is_file() and not path.is_symlink()]
