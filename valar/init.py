"""`valar init DIR`: look at a folder of clips, and write the settings and CSV files with which a run can begin."""

import argparse
import sys
from pathlib import Path

from models.weights.table import DEFAULT_FOLDER, WEIGHTS
from pipeline.errors import UserError
from valar.inventory import Inventory, look_into
from valar.labels import Table, as_csv, assign_splits, find_range_fault, find_unlisted, read_table
from valar.settings import FILE_NAME

HELP = (
    "Look at a folder of clips, all in it or each in a folder of its video or speaker, and at the CSV files in it and "
    "in the current folder; write valar.cfg and the CSV files that a run needs, and say what was taken for what."
)
#: What this command writes begins so, and is never taken for a file of the user's.
PREFIX = "valar-"
_SPLITS = ("train", "validation", "test")
_TRYING = """
# To see everything work, in minutes: random weights, narrow networks, few epochs. What comes out means nothing. For a
# run that counts, fetch the weights and remove all that follows.
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
        "--csv", type=Path, action="append", metavar="FILE", help="CSV file that lists them; may be given again"
    )
    parser.add_argument(
        "--try",
        dest="is_trial",
        action="store_true",
        help="random weights and small networks: works offline, in minutes",
    )
    parser.add_argument("--force", action="store_true", help=f"write {FILE_NAME} and its CSV files anew")


def run(arguments: argparse.Namespace) -> int:
    """Look, write, and say what was taken; 2 when the folder or a CSV file cannot be used."""
    if Path(FILE_NAME).exists() and not arguments.force:
        print(f"{FILE_NAME} is here already; --force writes it and its CSV files anew", file=sys.stderr)
        return 2
    try:
        inventory = look_into(arguments.folder)
        tables, lines = read_tables(inventory, arguments.csv)
        named, files, found = choose_files(inventory, tables)
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    for name, text in files.items():
        Path(name).write_text(text, encoding="utf-8")
    settings = format_settings(arguments.folder, inventory.videos, named, is_trial=arguments.is_trial)
    Path(FILE_NAME).write_text(settings, encoding="utf-8")
    print("\n".join([describe(inventory), *lines, *found, f"written: {', '.join([FILE_NAME, *files])}"]))
    print("\n".join(next_steps(is_labelled=bool(named["train"]), is_trial=arguments.is_trial)))
    return 0


def read_tables(inventory: Inventory, named: list[Path] | None) -> tuple[list[Table], list[str]]:
    """Read the CSV files that are named, else those beside the clips and in the current folder.

    Raises:
        UserError: One that is named cannot be used, or labels are on another scale.
    """
    here = [path for path in sorted(Path().glob("*.csv")) if not path.name.startswith(PREFIX)]
    seen = {path.resolve(): path for path in (*inventory.csv_files, *here)}
    tables, lines = [], []
    for path in named or seen.values():
        table = read_table(path, inventory)
        if isinstance(table, str):
            if named:
                raise UserError(table)
            lines.append(table)
            continue
        if fault := find_range_fault(table):
            raise UserError(fault)
        tables.append(table)
        labels = "with labels" if table.is_labelled else "without labels"
        lines.append(f"{path}: {len(table.rows)} clips, {labels}")
        lines += [f"  left out: {problem}" for problem in table.problems]
    return tables, lines


def choose_files(inventory: Inventory, tables: list[Table]) -> tuple[dict[str, str], dict[str, str], list[str]]:
    """Choose the CSV file of each split.

    Returns:
        Split to file ("" for none), the files to write, and sentences.
    """
    named = dict.fromkeys(_SPLITS, "")
    if not tables:
        named["test"] = f"{PREFIX}clips.csv"
        lines = ["no CSV file lists them: there are no labels, so there will be features but no training"]
        return named, {named["test"]: as_csv((), inventory.clips)}, lines
    splits, columns, rule = assign_splits(tables)
    lines = [f"{split}: {len(rows)} clips" for split, rows in splits.items() if rows]
    unlisted = list(find_unlisted(inventory, splits))
    if unlisted:
        lines.append(f"{len(unlisted)} clips are in no CSV file and are left out (the first: {unlisted[0]})")
    by_split = {table.names_split: table for table in tables}
    if "" not in by_split and len(by_split) == len(tables) and all(table.is_ready for table in tables):
        return {**named, **{split: str(table.path) for split, table in by_split.items()}}, {}, lines
    files = {}
    for split, rows in splits.items():
        if rows:
            named[split] = f"{PREFIX}{split}.csv"
            files[named[split]] = as_csv(columns, rows)
    return named, files, [*lines, rule]


def describe(inventory: Inventory) -> str:
    """Say what the folder holds."""
    videos = len({video for video, _ in inventory.clips})
    how = "in one folder" if inventory.is_flat else f"in {videos} folders of {inventory.videos}"
    line = f"{len(inventory.clips)} clips {how}"
    if inventory.others:
        line += f"; {len(inventory.others)} other files are left out (the first: {inventory.others[0]})"
    return line


def format_settings(folder: Path, videos: Path, named: dict[str, str], *, is_trial: bool) -> str:
    """Give the text of valar.cfg."""
    lines = [
        f"# Written by `valar init {folder}`. Laid over tasks.cfg, where every setting stands with its unit.",
        "[dataset]",
        *(f"{name} = {str(value).replace('%', '%%')}".rstrip() for name, value in {"videos": videos, **named}.items()),
        "[store]",
        "root = features",
        "[run]",
        "root = runs",
    ]
    return "\n".join(lines) + "\n" + (_TRYING if is_trial else "")


def next_steps(*, is_labelled: bool, is_trial: bool) -> list[str]:
    """Say which commands come next."""
    wanted = ("sphereface20", "vgg16") if is_labelled else ("sphereface20",)
    absent = [name for name in wanted if not (DEFAULT_FOLDER / WEIGHTS[name].file_name).is_file()]
    steps = [] if is_trial else [f"valar weights fetch {name}" for name in absent]
    steps.append("valar run" if is_labelled else "valar features")
    return ["next:", *(f"  {step}" for step in steps)]
