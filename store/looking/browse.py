"""A store as static pages: an index with search, sorting and filters, and a page per clip; no server, no network.

A clip's page depends only on its features, so it is written again only when they change. Splits, labels and predictions
are in `data.js`, which all pages load and which is written each time.
"""

import contextlib
import functools
import hashlib
import html
import os
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from store import files
from store.catalog.feature_store import FeatureStore
from store.errors import StoreError
from store.json_files import read_object
from store.labels import Label, read_labels
from store.layout import is_own_folder, shard_path
from store.looking.clip_page import PAGE_VERSION, TEMPLATES, as_json
from store.looking.face_map import map_faces
from store.looking.page_files import ROW_LENGTH, write_pages_of
from store.looking.page_worker import write_in_processes
from store.looking.results import RESULTS_NAME, ClipResult, Curve, Results, read_results
from store.pages_mark import PAGES_MARK, STATIC_FILES, is_page_name, page_number, write_mark

#: What each page was made of, and its row of the index.
_MADE = "made.json"
#: Pages for each process: to start one takes as long as writing some hundred pages.
_PAGES_A_PROCESS = 250
#: After at least so many pages, and at each tenth of many, it is saved which pages are written: a killed call's stay.
_PAGES_A_SAVING = 500
#: A link in the pages' folder that leads to the videos, so that pages play them also through `RUNS/latest/pages`.
_VIDEOS = "videos"


@dataclass(frozen=True)
class PagesWritten:
    """How many clips have pages, and how many pages were written now."""

    num_clips: int
    num_written: int


def write_pages(
    store: FeatureStore,
    folder: Path,
    ledger: Path | None = None,
    results: Path | None = None,
    show: Callable[[int, int], None] = lambda done, total: None,
) -> PagesWritten:
    """Write the pages of clips that are new or have changed, and the index.

    Args:
        store: The features.
        folder: A new or empty folder, or one with earlier pages.
        ledger: A run's ledger.csv, which says who is in which split and has which label; by default that of each
            clip's run.
        results: What a run predicted; by default `latest/pages.json` of the newest run.
        show: Called with the numbers of pages written and to write; the first call has 0 written.

    Raises:
        StoreError: The folder has other files, or the ledger or the results are damaged or missing.

    """
    _check_folder(store, folder)
    for given, option in ((ledger, "--ledger"), (results, "--results")):
        if given is not None and not given.is_file():
            raise StoreError(f"{option} {given} is no file; name one, or leave the option out")
    labels = store.list_labels() if ledger is None else read_labels(ledger, "correct it, or leave --ledger out")
    said = _find_results(store) if results is None else read_results(results)
    names = list(store)
    write_mark(folder, store.listing.run)  # first: without the mark, the next call would refuse the folder
    (folder / "clips").mkdir(exist_ok=True)
    for each in (folder, folder / "clips"):
        files.remove_leftovers(each)
    made = _read_made(folder)
    keys = dict(zip(names, _make_keys(store, names), strict=True))
    there = {path.name for path in (folder / "clips").iterdir()}
    rows: dict[str, list[Any]] = {}
    for name in names:
        number = page_number(name)
        key, row = made.get(number, (None, None))
        if key == keys[name] and {f"{number}.html", *([f"{number}.jpg"] if row[-1] else [])} <= there:
            rows[name] = row
    waiting = [name for name in names if name not in rows]
    if any(page_number(name) in made for name in waiting):
        # First: if the process is killed after a page is written, the page must not keep its earlier key.
        _write_made(folder, keys, rows)
    show(0, len(waiting))
    for done, (name, row) in enumerate(_write_clips(store, folder, waiting), start=1):
        rows[name] = row
        if done % max(_PAGES_A_SAVING, len(waiting) // 10) == 0:
            _write_made(folder, keys, rows)
        show(done, len(waiting))
    _remove_others(folder, names, rows)
    _write_index(store, folder, names, rows, labels, said)
    _write_made(folder, keys, rows)
    return PagesWritten(len(names), len(waiting))


def _check_folder(store: FeatureStore, folder: Path) -> None:
    """Refuse a folder that holds something else, or is the store's own."""
    inside = folder.resolve().is_relative_to(store.folder.resolve())
    parts = folder.resolve().relative_to(store.folder.resolve()).parts if inside else ("",)
    if not parts or is_own_folder(parts[0]):
        raise StoreError(f"{folder} is the store's own; name a new folder for the pages")
    if folder.exists() and not folder.is_dir():
        raise StoreError(f"{folder} is a file; name a new folder for the pages")
    if folder.exists() and not (folder / PAGES_MARK).exists() and any(map(_is_foreign, folder.iterdir())):
        raise StoreError(f"{folder} holds other files; name a new folder for the pages")
    if (folder / "clips").is_symlink():
        raise StoreError(f"{folder / 'clips'} is a link; remove it, or name a new folder for the pages")


def _is_foreign(path: Path) -> bool:
    """Tell whether something in a folder without a mark is not from a `browse` that was killed at its beginning."""
    is_empty_folder = path.name == "clips" and path.is_dir() and not any(path.iterdir())  # made before the mark once
    return not is_empty_folder and not files.is_leftover(path)


def _find_results(store: FeatureStore) -> Results:
    runs = store.listing.runs
    return read_results(Path(runs) / "latest" / RESULTS_NAME) if runs else Results()


def _make_keys(store: FeatureStore, names: list[str]) -> Iterator[str]:
    """Give a digest of what each page is made from: the clip's file, and size and time of its shards' files."""
    of_shards: dict[tuple[str, str], list[Any]] = {}
    for name in names:
        listing = store[name].listing
        shard = listing.shards[name]
        if (listing.run, shard) not in of_shards:
            of_shards[listing.run, shard] = [
                (stage, print_, *_look_at(shard_path(store.folder, stage, print_, shard)))
                for stage, print_ in sorted(listing.fingerprints.items())
            ]
        parts = (
            PAGE_VERSION,
            name,
            listing.sources[name],
            name in listing.vanished,
            shard,
            of_shards[listing.run, shard],
        )
        yield hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


def _look_at(path: Path) -> tuple[int, int]:
    try:
        status = path.stat()
    except OSError:
        return (0, 0)
    return status.st_size, status.st_mtime_ns


def _write_made(folder: Path, keys: Mapping[str, str], rows: Mapping[str, list[Any]]) -> None:
    """Save what the pages of these rows were made of."""
    files.write_json(folder / _MADE, {page_number(name): [keys[name], row] for name, row in rows.items()})


def _read_made(folder: Path) -> dict[str, tuple[Any, Any]]:
    """Read the keys and rows of the earlier pages; empty if they cannot be read: all pages are then written again."""
    with contextlib.suppress(OSError, ValueError, TypeError):
        value = read_object(folder / _MADE)
        return {n: (key, row) for n, (key, row) in value.items() if isinstance(row, list) and len(row) == ROW_LENGTH}
    return {}


def _write_clips(store: FeatureStore, folder: Path, names: list[str]) -> Iterator[tuple[str, list[Any]]]:
    """Write the pages of these clips, shard by shard: each file is opened once and then closed."""
    groups: dict[tuple[str, str], list[str]] = {}
    for name in names:
        listing = store.find_listing(name) or store.listing
        groups.setdefault((listing.shards[name], listing.run), []).append(name)
    num_processes = min(len(os.sched_getaffinity(0)), len(names) // _PAGES_A_PROCESS)
    if num_processes > 1:
        shared = {"store": str(store.folder), "folder": str(folder), "mapped": store.mapped}
        asked = [{**shared, "run": run, "names": group} for (_, run), group in groups.items()]
        yield from write_in_processes(asked, num_processes)
        return
    # Threads: reading, digests and compression run without the interpreter's lock.
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for written in pool.map(functools.partial(write_pages_of, store, folder), groups.values()):
            yield from written


def _remove_others(folder: Path, names: list[str], rows: dict[str, list[Any]]) -> None:
    """Remove pages of clips that are no longer listed, and pages of earlier releases."""
    kept = {f"{page_number(name)}.html" for name in names}
    kept |= {f"{page_number(name)}.jpg" for name in names if rows[name][-1]}
    for path in list((folder / "clips").iterdir()):
        if path.name not in kept and is_page_name(path.name) and path.is_file() and not path.is_symlink():
            path.unlink()


def _write_index(
    store: FeatureStore,
    folder: Path,
    names: list[str],
    rows: dict[str, list[Any]],
    labels: dict[str, Label],
    said: Results,
) -> None:
    """Write the index, and `data.js` with the data of all clips for the index and every page.

    A row of `clips` is number, name, split, sound, picture, seconds, coverage, score, level (dB), badness, notes,
    number of faces in its picture, arousal and valence of the label, the video's file, a pair for each of
    `models`, and the second of the file at which the clip begins. `_pack_curve` describes `curves`.
    """
    models = list(dict.fromkeys(model for clip in said.clips.values() for model in clip.predictions))
    clips = []
    for name in names:
        label, result = labels.get(name, Label()), said.clips.get(name, ClipResult())
        is_labelled = not np.isnan(label.arousal + label.valence)
        truth = [label.arousal, label.valence] if is_labelled else [None, None]
        predicted = [result.predictions.get(model) for model in models]
        clips.append([page_number(name), name, label.split, *rows[name], *truth, result.file, predicted, result.start])
    points, shares = map_faces(store, names)
    value = {
        "models": models,
        "best": models.index(said.best) if said.best in models else -1,
        "clips": clips,
        "map": {"points": {page_number(name): place for name, place in points.items()}, "shares": shares},
        "curves": {page_number(n): _pack_curve(c.curve) for n, c in said.clips.items() if c.curve and c.curve.seconds},
    }
    _link_videos(folder, said.videos)
    for name in STATIC_FILES:
        files.write_soon(folder / name, (TEMPLATES / name).read_bytes())
    # `<` cannot end the script then, whatever a clip is called.
    files.write_soon(folder / "data.js", f"const PAGES = {as_json(value)};\n".encode())
    template = (TEMPLATES / "index.html").read_text(encoding="utf-8")
    title = html.escape(str(store.folder.resolve()))
    files.write_soon(folder / "index.html", template.replace("{{ title }}", title).encode())


def _pack_curve(curve: Curve) -> list[Any]:
    """Give a curve in few characters, since every page loads the curves of all clips.

    Returns:
        Middle of the first window and seconds from one to the next, then arousal and valence of each in thousandths.
    """
    first, *others = curve.seconds
    step = (others[-1] - first) / len(others) if others else 0.0
    values = [[None if v is None else round(1000 * v) for v in column] for column in (curve.arousal, curve.valence)]
    return [first, round(step, 5), *values]


def _link_videos(folder: Path, videos: str) -> None:
    """Let the link `videos` in the pages' folder lead to the videos; if that fails, pages have no video."""
    link = folder / _VIDEOS
    if videos and (link.is_symlink() or not link.exists()):
        with contextlib.suppress(OSError):
            files.point_link(link, Path(videos))
