"""The commands that hand a store's features on: export and browse."""

import argparse
from pathlib import Path

from store.catalog import FeatureStore
from store.commands.command import Command, show
from store.errors import StoreError
from store.export.formats import EXPORTERS, check_target
from store.export.mmsa import SPLITS, export_mmsa
from store.looking.browse import write_pages


class Export(Command):
    """`export`."""

    HELP = "write the features for NumPy, spreadsheets, the CMU-MultimodalSDK or MMSA"

    @classmethod
    def add_arguments(cls, parser: argparse.ArgumentParser) -> None:
        """Take the format, the folder, and MMSA's labels."""
        super().add_arguments(parser)
        parser.add_argument("--to", required=True, choices=[*EXPORTERS, "mmsa"], help="the format")
        parser.add_argument("folder", type=Path, help="a new or empty folder")
        parser.add_argument(
            "--labels", action="append", default=[], metavar="SPLIT=CSV", help="mmsa: the CSV file of a split"
        )
        parser.add_argument("--label", choices=("arousal", "valence"), default="valence", help="mmsa: what to learn")

    @classmethod
    def run(cls, arguments: argparse.Namespace) -> int:
        """Export."""
        store = FeatureStore(arguments.store)
        check_target(arguments.folder)
        if arguments.to == "mmsa":
            count = export_mmsa(store, arguments.folder, _parse_labels(arguments.labels), arguments.label)
        else:
            count = EXPORTERS[arguments.to](store, arguments.folder)
        found = sorted(path for path in arguments.folder.rglob("*") if path.is_file())
        value = {"utterances": count, "files": len(found), "bytes": sum(path.stat().st_size for path in found)}
        show(arguments, value, f"{count} utterances in {len(found)} files in {arguments.folder}")
        return 0


def _parse_labels(given: list[str]) -> dict[str, Path]:
    labels = {}
    for text in given:
        split, equals, path = text.partition("=")
        if not equals or split not in SPLITS:
            raise StoreError(f"--labels {text} must be SPLIT=CSV, where SPLIT is one of {', '.join(SPLITS)}")
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

    @classmethod
    def run(cls, arguments: argparse.Namespace) -> int:
        """Write the pages."""
        count = write_pages(FeatureStore(arguments.store), arguments.output, arguments.ledger)
        index = arguments.output / "index.html"
        show(arguments, {"clips": count, "index": str(index)}, f"{count} clips: open {index}")
        return 0
