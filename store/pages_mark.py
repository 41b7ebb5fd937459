"""The mark by which a folder of pages that `browse` made is known, and what may be in such a folder."""

import os
from pathlib import Path

from store import files
from store.errors import StoreError
from store.json_files import check_text, reading_json
from store.layout import is_own_folder

PAGES_MARK = "valar-pages.json"
_FILES = {PAGES_MARK, "index.html", "data.js"}


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
                raise StoreError(f"{mark} lies in the store itself, which is no folder of pages; remove that file")
            with reading_json(mark, None, "remove it if its folder holds no pages") as value:
                check_text(value["run"], "run")
            found.append(here)
    return sorted(found)


def list_pages(folder: Path) -> list[Path]:
    """List the files of a folder of pages that `browse` has written; whatever else lies there is not among them."""
    clips = folder / "clips"
    found = [folder / name for name in sorted(_FILES)]
    if not clips.is_symlink():
        found += sorted(path for path in clips.glob("*.html") if path.stem.isdecimal())
    return [path for path in found if path.is_file() and not path.is_symlink()]
