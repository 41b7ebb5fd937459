"""`python -m models summary anet|vnet|joint`: look at a network."""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict

from models import paper
from models.choices import FUSIONS, POOLINGS, SOUND_INPUTS
from models.closed_pipes import run_quietly
from models.networks.summary import NETWORKS, render, summarise


def make_parser(prog: str) -> argparse.ArgumentParser:
    """Make the parser of `python -m models`."""
    parser = argparse.ArgumentParser(prog=prog, description="Look at the networks.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    summary = commands.add_parser("summary", help="layers, shapes, parameters, GFLOP of a forward pass")
    summary.add_argument("network", choices=list(NETWORKS), help="the network")
    _add_sizes(summary)
    _add_settings(summary)
    summary.add_argument("--json", action="store_true", help="print JSON")
    return parser


def _add_sizes(summary: argparse.ArgumentParser) -> None:
    """Add the options of how much a network is given and how wide it is."""
    summary.add_argument(
        "--batch-size", type=_count, metavar="NUMBER", default=1, help="number of utterances (default: %(default)s)"
    )
    summary.add_argument(
        "--num-maps",
        type=_count,
        metavar="NUMBER",
        help="STFT maps per utterance (default: 1 for ANet, 4 for Joint)",
    )
    summary.add_argument(
        "--num-frames",
        type=_count,
        metavar="NUMBER",
        default=paper.NUM_FRAMES,
        help="faces per utterance (default: %(default)s)",
    )
    summary.add_argument(
        "--channel-scale",
        type=float,
        metavar="FACTOR",
        default=1.0,
        help="factor of the number of VGG-16's channels (default: %(default)s)",
    )


def _add_settings(summary: argparse.ArgumentParser) -> None:
    """Add the options that are settings of a training, and the sizes of the features these may name."""
    summary.add_argument(
        "--backbone",
        choices=["frozen", "finetune"],
        default="frozen",
        help="finetune includes SphereFace in the network (default: %(default)s)",
    )
    summary.add_argument(
        "--input",
        choices=SOUND_INPUTS,
        default="stft",
        help="content of the maps, as [anet] input (default: %(default)s)",
    )
    summary.add_argument(
        "--row-size",
        type=int,
        default=0,
        metavar="D",
        help="numbers in a row of the feature of [anet] features, which replaces the maps (default: none)",
    )
    summary.add_argument(
        "--map-rows",
        type=_count,
        default=paper.MAP_FRAMES,
        metavar="R",
        help="rows of that feature in 3 s (default: %(default)s)",
    )
    summary.add_argument(
        "--pooling", choices=POOLINGS, default="lstm", help="how these rows are combined (default: %(default)s)"
    )
    summary.add_argument(
        "--face-size",
        type=_count,
        default=paper.FEATURE_SIZE,
        metavar="D",
        help="numbers of each face in VNet's input, of all [vnet] features together (default: %(default)s)",
    )
    summary.add_argument(
        "--fusion",
        choices=FUSIONS,
        default="concat",
        help="how Joint combines sound and picture (default: %(default)s)",
    )


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} must be a whole number of at least 1")
    return int(text)


def main(argv: Sequence[str] | None = None, *, prog: str = "python -m models") -> int:
    """Print the layers of a network, with their shapes, parameters and operations in one forward pass."""
    words = sys.argv[1:] if argv is None else argv
    parser = make_parser(prog)
    if not words:
        parser.print_help()
        return 2
    options = vars(parser.parse_args(words))
    del options["command"]
    as_json = options.pop("json")
    try:
        layers = summarise(options.pop("network"), **options)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    print(json.dumps([asdict(layer) for layer in layers], indent=2) if as_json else render(layers))
    return 0


if __name__ == "__main__":
    sys.exit(run_quietly(main))
