"""The commands that look at a store and change nothing: ls, show, why, diff."""

import argparse
from pathlib import Path

from store.catalog.feature_store import FeatureStore
from store.commands.command import Command, add_verbose, show
from store.looking.description import describe_utterance, explain_utterance, render_description
from store.looking.difference import compare_stores, render_differences
from store.looking.plots import plot_utterance
from store.overview import list_stage_sets, render_stage_sets


class List(Command):
    """`ls`."""

    HELP = "stage sets with utterances, rows and bytes, the newest first; -v: with shards, settings and runs"

    @classmethod
    def add_arguments(cls, parser: argparse.ArgumentParser) -> None:
        """Offer the details."""
        super().add_arguments(parser)
        add_verbose(parser)

    @classmethod
    def run(cls, arguments: argparse.Namespace) -> int:
        """List the stage sets."""
        found = list_stage_sets(arguments.store)
        show(arguments, [summary.as_dict() for summary in found], render_stage_sets(found, verbose=arguments.verbose))
        return 0


class Show(Command):
    """`show`."""

    HELP = "one utterance: every stage's shape, unit, statistics, status, source and provenance"

    @classmethod
    def add_arguments(cls, parser: argparse.ArgumentParser) -> None:
        """Take an utterance and, perhaps, a picture's place."""
        super().add_arguments(parser)
        parser.add_argument("utterance", help="video/utterance, without the file's ending")
        parser.add_argument("--plot", type=Path, metavar="PNG", help="also draw spectrogram, faces and their track")
        add_verbose(parser)

    @classmethod
    def run(cls, arguments: argparse.Namespace) -> int:
        """Describe the utterance."""
        store = FeatureStore(arguments.store)
        description = describe_utterance(store, arguments.utterance)
        show(arguments, description, render_description(description, verbose=arguments.verbose))
        if arguments.plot:
            plot_utterance(store[arguments.utterance], arguments.plot)
        return 0


class Why(Command):
    """`why`."""

    HELP = "where an utterance's rows are, or why they are missing, bad or stale"

    @classmethod
    def add_arguments(cls, parser: argparse.ArgumentParser) -> None:
        """Take an utterance."""
        super().add_arguments(parser)
        parser.add_argument("utterance", help="video/utterance, without the file's ending")

    @classmethod
    def run(cls, arguments: argparse.Namespace) -> int:
        """Explain."""
        sentences = explain_utterance(arguments.store, arguments.utterance)
        show(arguments, sentences, "\n".join(sentences))
        return 0


class Diff(Command):
    """`diff`."""

    HELP = "which utterances and values differ between two stores, by stage; exit code 1 if something differs"

    @classmethod
    def add_arguments(cls, parser: argparse.ArgumentParser) -> None:
        """Take the other store."""
        super().add_arguments(parser)
        parser.add_argument("other", type=Path, help="the store to compare with")

    @classmethod
    def run(cls, arguments: argparse.Namespace) -> int:
        """Compare."""
        first, second = FeatureStore(arguments.store), FeatureStore(arguments.other)
        found = compare_stores(first, second)
        text = render_differences(found, len({*first} & {*second}))
        show(arguments, [difference.as_dict() for difference in found], text)
        return 1 if found else 0
