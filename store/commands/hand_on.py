"""The commands that write a store's features for other programs: export and browse."""

import argparse
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

from store.catalog.feature_store import FeatureStore
from store.commands.command import Command, show
from store.errors import StoreError
from store.export.formats import EXPORTERS, exporting
from store.export.mmsa import OWN_AUDIO, OWN_VISION, SPLITS, export_mmsa
from store.export.rows import Labels, count_lacking
from store.labels import Label
from store.looking.browse import write_pages
from store.text import escape, format_count


class _InPlaceOf(argparse.Action):
    """An option that may be given in place of the positional argument of the same name."""

    def __call__(self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, value: Any, *_: Any) -> None:
        """Take the value; the positional argument is then not required."""
        setattr(namespace, self.dest, value)
        for action in parser._actions:
            if action.dest == self.dest and not action.option_strings:
                action.required = False


class Export(Command):
    """`export`."""

    HELP = "write the features, with splits and labels, for NumPy, spreadsheets, Parquet, the CMU-MultimodalSDK or MMSA"

    #: Reads CSV files of labels (split to path) and gives labels and warnings; `valar store` sets it.
    read_label_files: ClassVar[Callable[[Mapping[str, Path]], tuple[Labels, list[str]]] | None] = None

    @classmethod
    def add_arguments(cls, parser: argparse.ArgumentParser) -> None:
        """Take the format, the folder, and MMSA's labels."""
        super().add_arguments(parser)
        parser.add_argument("--to", required=True, choices=[*EXPORTERS, "mmsa"], help="the format")
        parser.add_argument("folder", type=Path, metavar="DIR", help="a new or empty folder")
        parser.add_argument(
            "-o", "--output", dest="folder", type=Path, action=_InPlaceOf, metavar="DIR", help="the same, as an option"
        )
        parser.add_argument(
            "--labels",
            action="append",
            default=[],
            metavar="SPLIT=CSV",
            help="the CSV file of a split, in place of the files that each clip's run last read; repeat it for each "
            "split",
        )
        parser.add_argument("--label", choices=("arousal", "valence"), default="valence", help="mmsa: what to learn")
        parser.add_argument(
            "--audio", default=OWN_AUDIO, metavar="NAME", help="mmsa: stft, or a declared feature of sound"
        )
        parser.add_argument(
            "--vision",
            action="append",
            metavar="NAME",
            help="mmsa: sphereface20, or a declared feature of faces; repeat it to put several side by side",
        )

    @classmethod
    def run(cls, arguments: argparse.Namespace) -> int:
        """Export."""
        store = FeatureStore(arguments.store)
        labels = cls._find_labels(store, _parse_labels(arguments.labels))
        with exporting(arguments.folder) as folder:
            count = cls._write(store, folder, labels, arguments)
        found = sorted(path for path in arguments.folder.rglob("*") if path.is_file())
        value = {"utterances": count, "files": len(found), "bytes": sum(path.stat().st_size for path in found)}
        show(
            arguments,
            value,
            f"{format_count(count, 'utterance')} in {format_count(len(found), 'file')} in {arguments.folder}",
        )
        return 0

    @classmethod
    def _write(cls, store: FeatureStore, folder: Path, labels: Labels, arguments: argparse.Namespace) -> int:
        """Write the export's files, say what is left out, and give how many utterances there are."""
        if arguments.to == "mmsa":
            written = export_mmsa(
                store,
                folder,
                labels,
                arguments.label,
                audio=arguments.audio,
                vision=arguments.vision or (OWN_VISION,),
            )
            count = written.count
            for part, empty in written.empty.items():
                print(f"{part} is all zeros for {empty} of {format_count(count, 'utterance')}", file=sys.stderr)
            if count < len(store):
                told = f"left out: {len(store) - count} of {format_count(len(store), 'utterance')}"
                print(f"{told}, without labels or without a split that MMSA knows", file=sys.stderr)
        else:
            count = EXPORTERS[arguments.to](store, folder, labels)
            for stage, lacking in count_lacking(store).items():
                print(f"{stage}: no rows for {lacking} of {format_count(count, 'utterance')}", file=sys.stderr)
        return count

    @classmethod
    def _find_labels(cls, store: FeatureStore, paths: Mapping[str, Path]) -> Labels:
        """Give the labels of the named files, or else those of the runs; print what is left out."""
        if not paths:
            return store.list_labels()
        if cls.read_label_files is None:
            raise StoreError(
                "--labels works only with `valar store export`; without it, the labels of the last run are used"
            )
        found, warnings = cls.read_label_files(paths)
        absent = [name for name in found if name not in store]
        if len(absent) == len(found):
            raise StoreError(f"{', '.join(map(str, paths.values()))}: {store.folder} has none of these utterances")
        if absent:
            listed = format_count(len(found), "listed utterance")
            warnings.append(f"not in the store: {len(absent)} of {listed} (the first: {absent[0]})")
        for warning in warnings:
            print(escape(warning), file=sys.stderr)
        return {name: found.get(name, Label()) for name in store}


def _parse_labels(given: list[str]) -> dict[str, Path]:
    labels: dict[str, Path] = {}
    for text in given:
        split, equals, path = text.partition("=")
        if not equals or split not in SPLITS:
            raise StoreError(f"--labels {text} must be SPLIT=CSV, where SPLIT is one of {', '.join(SPLITS)}")
        if split in labels:
            raise StoreError(f"--labels {text}: {split} is given twice; put the rows of a split into one file")
        labels[split] = Path(path)
    return labels


class Browse(Command):
    """`browse`."""

    HELP = "write static pages: an index with search, sorting and filters, and a page per clip"

    @classmethod
    def add_arguments(cls, parser: argparse.ArgumentParser) -> None:
        """Take the folder of the pages, and the ledger."""
        super().add_arguments(parser)
        parser.add_argument("-o", "--output", type=Path, required=True, metavar="DIR", help="folder of the pages")
        parser.add_argument("--ledger", type=Path, help="ledger.csv that names the splits (default: of the newest run)")
        parser.add_argument(
            "--results", type=Path, help="pages.json with what a run predicted (default: of the newest report)"
        )

    @classmethod
    def run(cls, arguments: argparse.Namespace) -> int:
        """Write the pages."""
        store = FeatureStore(arguments.store)
        written = write_pages(store, arguments.output, arguments.ledger, arguments.results)
        index = arguments.output / "index.html"
        value = {"clips": written.num_clips, "written": written.num_written, "index": str(index)}
        pages = format_count(written.num_written, "page")
        told = f"{format_count(written.num_clips, 'clip')}, {pages} written: open {index}"
        show(arguments, value, told)
        return 0
