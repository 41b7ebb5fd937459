"""Help for a group's commands, such as `valar store ls`: with examples, and with the store as an optional argument."""

import argparse
import textwrap

#: Examples of each command.
EXAMPLES = {
    "store ls": "valar store ls\nvalar store ls other/features -v",
    "store show": "valar store show anna/clip_1\nvalar store show anna/clip_1 --plot clip.png",
    "store why": "valar store why anna/clip_1",
    "store diff": "valar store diff other/features",
    "store verify": "valar store verify\nvalar store verify --repair",
    "store gc": "valar store gc --dry-run\nvalar store gc",
    "store compact": "valar store compact --dry-run\nvalar store compact --shard-size 256",
    "store erase": "valar store erase anna/clip_1 --dry-run\nvalar store erase anna --runs runs",
    "store export": (
        "valar store export --to csv -o table\nvalar store export --to npz -o arrays\n"
        "valar store export --to mmsa -o mmsa --label arousal"
    ),
    "store browse": "valar store browse -o pages",
    "weights list": "valar weights list\nvalar weights list -v",
    "weights fetch": "valar weights fetch sphereface20\nvalar weights fetch vgg16 --base-url https://mirror.example/weights",
    "models summary": "valar models summary joint\nvalar models summary anet --channel-scale 0.25",
}
_STORE_HELP = "the store's folder (default: [store] root of the settings)"


def add_help(parser: argparse.ArgumentParser, group: str) -> argparse.ArgumentParser:
    """Add examples to the help of each command of a group.

    Args:
        parser: Of the group; it is changed.
        group: The group's name, such as "store".

    Returns:
        The same parser.
    """
    found = next(action for action in parser._actions if isinstance(action, argparse._SubParsersAction))
    summaries = {choice.dest: choice.help for choice in found._choices_actions}
    for name, inner in found.choices.items():
        inner.description = textwrap.fill(begin_sentence(inner.description or summaries[name] or ""), 79)
        inner.add_argument("--config", metavar="FILE", help="settings, instead of valar.cfg")
        inner.formatter_class = argparse.RawDescriptionHelpFormatter
        inner.epilog = "Examples:\n" + textwrap.indent(EXAMPLES[f"{group} {name}"], "  ")
        if group == "store":
            _leave_store_out(inner, f"valar {group} {name}")
    return parser


def find_commands(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """Return the parsers of a group's commands by name."""
    return next(dict(action.choices) for action in parser._actions if isinstance(action, argparse._SubParsersAction))


def begin_sentence(text: str) -> str:
    """Return a text with a capital first letter.

    >>> begin_sentence("draw MTCNN's faces")
    "Draw MTCNN's faces"
    """
    return text[:1].upper() + text[1:]


def _leave_store_out(parser: argparse.ArgumentParser, prog: str) -> None:
    """Show the store as optional in the help; argparse itself could not tell which of two words is missing."""
    words = [prog, "[options]"]
    for action in parser._actions:
        shown = "FORMAT" if action.dest == "to" else str(action.metavar or action.dest.upper())
        if action.dest == "store":
            action.metavar, action.help = "STORE", _STORE_HELP
            words.append("[STORE]")
        elif not action.option_strings:
            words.append(f"{shown} ..." if action.nargs == "+" else shown)
        elif action.required:
            words.insert(2, f"{action.option_strings[0]} {shown}")
    parser.usage = " ".join(words)
