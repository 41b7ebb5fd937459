"""`valar init DIR`: look at a folder of clips, and write the settings and CSV files with which a run can begin."""

import argparse
import dataclasses
import re
import sys
from pathlib import Path

from models.weights.table import DEFAULT_FOLDER, WEIGHTS
from pipeline.commands.label_range import add_label_range, read_label_range
from pipeline.dataset.utterances import SPLITS, USUAL_RANGE
from pipeline.errors import UserError
from pipeline.settings.files import FILE_NAME
from store.files import write_text
from store.text import escape, escape_lines, format_count
from valar.closing import say_next
from valar.init.inventory import Inventory, look_into
from valar.init.labels import (
    RECORDING,
    Table,
    as_csv,
    assign_splits,
    check_once,
    find_range_fault,
    find_recordings,
    find_unlisted,
    read_table,
)

HELP = (
    "Look at a folder of clips (all in it, or each in a folder of its video or speaker) and at the CSV files in it "
    "and in the current folder. Write valar.cfg and the CSV files that a run needs, and print how each file was "
    "understood."
)
#: Beginning of the names of this command's CSV files, by which they are distinguished from the user's.
PREFIX = "valar-"
#: Stems of the prediction files that Valar's commands and reports write.
_PREDICTIONS = re.compile(r"predictions.*|.*-over-time|(.*\.)?detail|(anet|vnet|joint)-(train|validation|test)")
_TRYING = """
# For a trial of a few minutes: random weights, narrow networks, few epochs. The results mean nothing. For a real run,
# fetch the weights and remove everything below.
[embeddings]
weights = random
[anet]
vgg_weights = random
channel_scale = 0.03125
epochs = 3
[vnet]
epochs = 3
[joint]
epochs = 3
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("folder", type=Path, metavar="DIR", help="folder of clips, or of folders of clips")
    parser.add_argument(
        "--csv", type=Path, action="append", metavar="FILE", help="CSV file that lists the clips; may be repeated"
    )
    parser.add_argument(
        "--try",
        dest="is_trial",
        action="store_true",
        help="random weights and small networks: works offline, in minutes",
    )
    add_label_range(parser, "the labels, which are mapped to -1 and 1")
    parser.add_argument("--force", action="store_true", help=f"write {FILE_NAME} and its CSV files again")


def run(arguments: argparse.Namespace) -> int:
    """Look at the folder, write the files, and print what was found; return 2 if the folder or a CSV cannot be used."""
    if Path(FILE_NAME).exists() and arguments.folder.is_dir() and not arguments.force:
        print(f"{FILE_NAME} already exists; --force writes it and its CSV files again", file=sys.stderr)
        return 2
    try:
        inventory = look_into(arguments.folder)
        label_range = read_label_range(arguments)
        what = describe(inventory)
        tables, lines = read_tables(inventory, arguments.csv, label_range)
        inventory, cut = take_recordings(arguments.folder, inventory, tables)
        lines += cut
        named, files, found = choose_files(inventory, tables)
    except UserError as error:
        print(escape_lines(str(error)), file=sys.stderr)
        return 2
    for name, text in files.items():
        write_text(Path(name), text)
    settings = format_settings(
        arguments.folder,
        inventory.videos,
        named,
        is_trial=arguments.is_trial,
        label_range=label_range,
        group=RECORDING if files and find_recordings(tables, inventory) else "",
    )
    write_text(Path(FILE_NAME), settings)
    print("\n".join(map(escape, [what, *lines, *found, f"written: {', '.join([FILE_NAME, *files])}"])))
    say_next(next_steps(is_labelled=bool(named["train"]), is_trial=arguments.is_trial))
    return 0


def take_recordings(folder: Path, inventory: Inventory, tables: list[Table]) -> tuple[Inventory, list[str]]:
    """Handle rows that name parts of whole recordings by `start` and `end`: each part becomes a clip.

    Returns:
        The inventory, with the folder of recordings as the folder of videos, and one sentence. Without such rows, the
        inventory is unchanged and there is no sentence.

    Raises:
        UserError: Only some of the files are whole recordings, or they are in several folders.
    """
    recordings = {name for table in tables for name in table.recordings}
    if not recordings:
        return inventory, []
    if not inventory.is_flat:
        raise UserError(
            f"rows name parts of {format_count(len(recordings), 'file')} by start and end, and {folder} holds folders: "
            "put whole recordings into one folder; or, where each file is one utterance already, remove those two "
            "columns"
        )
    parts = {(video, name) for table in tables for video, name, *_ in table.rows}
    whole = [
        (row[0], row[1]) for table in tables for row in table.rows if row[1] in {name for _, name in inventory.clips}
    ]
    if whole:
        raise UserError(
            f"a row names {whole[0][1]} without start and end, but other rows have them; write them in every row"
        )
    rest = len(inventory.clips) - len(recordings)
    unused = f"; {format_count(rest, 'file')} without a row" if rest else ""
    clips = format_count(len(parts), "clip is cut", "clips are cut")
    line = f"{clips} by start and end from {format_count(len(recordings), 'whole recording')}{unused}"
    return dataclasses.replace(inventory, videos=folder, clips=tuple(sorted(parts)), is_flat=False), [line]


def read_tables(
    inventory: Inventory, named: list[Path] | None, label_range: tuple[float, float] = USUAL_RANGE
) -> tuple[list[Table], list[str]]:
    """Read the CSV files that are named, else those beside the clips and in the current folder.

    Returns:
        The tables, and sentences on how each file was understood.

    Raises:
        UserError: A named file cannot be used, labels are on another scale, or a clip is listed twice.
    """
    here = [path for path in sorted(Path().glob("*.csv")) if not path.name.startswith(PREFIX)]
    seen = {path.resolve(): path for path in (*inventory.csv_files, *here)}
    tables, lines = [], []
    for path in named or seen.values():
        if not named and is_prediction(path):
            lines.append(f"{path}: not taken: it has the name of predictions; if it has labels, name it with --csv")
            continue
        table = read_table(path, inventory)
        if isinstance(table, str):
            if named:
                raise UserError(table)
            lines.append(table)
            continue
        if fault := find_range_fault(table, label_range):
            raise UserError(fault)
        tables.append(table)
        labels = "with labels" if table.is_labelled else "without labels"
        lines.append(f"{path}: {format_count(len(table.rows), 'clip')}, {labels}")
        lines += [f"  left out: {problem}" for problem in table.problems]
    check_once(tables)
    return tables, lines


def is_prediction(path: Path) -> bool:
    """Tell whether a CSV file has the name of a prediction file of Valar's commands, which holds no labels."""
    return bool(_PREDICTIONS.fullmatch(path.stem))


def choose_files(inventory: Inventory, tables: list[Table]) -> tuple[dict[str, str], dict[str, str], list[str]]:
    """Choose the CSV file of each split.

    Returns:
        Split to file ("" for none), the files to write, and sentences.
    """
    named = dict.fromkeys(SPLITS, "")
    if not tables:
        named["test"] = f"{PREFIX}clips.csv"
        lines = ["no CSV file lists them: there are no labels, so there will be features but no training"]
        return named, {named["test"]: as_csv((), inventory.clips)}, lines
    recordings = find_recordings(tables, inventory)
    splits, columns, rule = assign_splits(tables, recordings)
    lines = [f"{split}: {format_count(len(rows), 'clip')}" for split, rows in splits.items() if rows]
    if not splits["train"] and any(table.is_labelled for table in tables):
        lines.append(
            "no clip is in the split train, so there will be features but no training; where no split is named, it "
            "takes three clips with labels"
        )
    unlisted = list(find_unlisted(inventory, splits))
    if unlisted:
        left_out = format_count(len(unlisted), "clip is in no CSV file and is", "clips are in no CSV file and are")
        lines.append(f"{left_out} left out (the first: {unlisted[0]})")
    by_split = {table.names_split: table for table in tables}
    if (
        "" not in by_split
        and len(by_split) == len(tables)
        and all(table.is_ready and not table.splits_rows for table in tables)
    ):
        return {**named, **{split: str(table.path) for split, table in by_split.items()}}, {}, lines
    files = {}
    if recordings:
        columns = (*columns, RECORDING)
        splits = {split: [(*row, recordings[row[0], row[1]]) for row in rows] for split, rows in splits.items()}
        count = format_count(len({*recordings.values()}), "recording")
        lines.append(f"{count}: clips whose names differ only in the number at the end (_1, _2) are of one recording")
    for split, rows in splits.items():
        if rows:
            named[split] = f"{PREFIX}{split}.csv"
            files[named[split]] = as_csv(columns, rows)
    return named, files, [*lines, rule]


def describe(inventory: Inventory) -> str:
    """Say what the folder holds."""
    videos = len({video for video, _ in inventory.clips})
    how = "in one folder" if inventory.is_flat else f"in {format_count(videos, 'folder')} of {inventory.videos}"
    line = f"{format_count(len(inventory.clips), 'clip')} {how}"
    if inventory.others:
        others = format_count(len(inventory.others), "other file is", "other files are")
        line += f"; {others} left out (the first: {inventory.others[0]})"
    return line


def format_settings(
    folder: Path,
    videos: Path,
    named: dict[str, str],
    *,
    is_trial: bool,
    label_range: tuple[float, float] = USUAL_RANGE,
    group: str = "",
) -> str:
    """Return the text of valar.cfg."""
    grouping = [f"group = {group}"] if group else []
    scale = [f"label_range = {label_range[0]:g} {label_range[1]:g}"] if label_range != USUAL_RANGE else []
    lines = [
        f"# Written by `valar init {folder}`. Laid over tasks.cfg, which describes every setting with its unit.",
        "[dataset]",
        *(f"{name} = {str(value).replace('%', '%%')}".rstrip() for name, value in {"videos": videos, **named}.items()),
        *scale,
        *grouping,
        "[store]",
        "root = features",
        "[run]",
        "root = runs",
    ]
    return "\n".join(lines) + "\n" + (_TRYING if is_trial else "")


def next_steps(*, is_labelled: bool, is_trial: bool) -> list[str]:
    """Return the commands to give next."""
    wanted = ("sphereface20", "vgg16") if is_labelled else ("sphereface20",)
    absent = [name for name in wanted if not (DEFAULT_FOLDER / WEIGHTS[name].file_name).is_file()]
    steps = [] if is_trial else [f"valar weights fetch {name}" for name in absent]
    steps.append("valar run" if is_labelled else "valar features")
    return steps
