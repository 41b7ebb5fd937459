"""Write what follows from the declared settings: their sections of tasks.cfg, and docs/settings.md (`make settings`).

tests/pipeline/settings/test_settings_text.py holds both to what this module makes of the declarations.
"""

import re
import textwrap
from pathlib import Path

from pipeline.settings.feature_options import FEATURE_OPTIONS
from pipeline.settings.parameters import say_limits, say_meaning, say_value
from pipeline.settings.sections import SECTIONS

ROOT = Path(__file__).resolve().parents[2]
PAGE, TASKS_CFG = ROOT / "docs" / "settings.md", ROOT / "tasks.cfg"
#: Where tasks.cfg, the paper's run, is not at the default: another data set need not have a test split.
PAPERS_RUN = {("dataset", "test"): "data/omg/omg_TestVideos_WithLabels.csv"}
BEGINNING = """# Settings

This page lists every setting with its default and its possible values. `tasks.cfg` contains all of them. Your own file
(`valar.cfg`, or the file named by `LUIGI_CONFIG_PATH`) needs only the settings that you change.

<!-- Written by `make settings` from what pipeline/settings/ and models/training/settings/ declare. -->
"""

FEATURES = (
    "A feature of your own; you can have any number of these sections ([features](features.md)). tasks.cfg has none."
)


def render_page() -> str:
    """Write docs/settings.md."""
    parts = [BEGINNING]
    sections = {name: ((each.__doc__ or "").partition("\n")[0], each.get_params()) for name, each in SECTIONS.items()}
    sections["features.NAME"] = (FEATURES, [*FEATURE_OPTIONS.items()])
    for name, (doc, parameters) in sections.items():
        parts.append(
            f"\n## [{name}]\n\n{doc}\n\n| setting | default | possible values | meaning |\n|---|---|---|---|\n"
        )
        for option, parameter in parameters:
            default = say_value(parameter._default)
            cells = (f"`{option}`", default and f"`{default}`", say_limits(parameter), say_meaning(parameter))
            parts.append(f"| {' | '.join(escape_cell(cell) for cell in cells)} |\n")
    return "".join(parts)


def escape_cell(text: str) -> str:
    """Write text as Markdown takes it in a table."""
    return text.replace("|", "\\|").replace("<", "&lt;")


def render_sections() -> str:
    """Write all sections as they stand in tasks.cfg; what is said once is not said again."""
    lines: list[str] = []
    said = set()
    for name, section in SECTIONS.items():
        lines += [f"[{name}]", *write_comment(section.__doc__ or "")]
        for option, parameter in section.get_params():
            if (meaning := say_meaning(parameter)) not in said:
                said.add(meaning)
                lines += write_comment(meaning)
            lines.append(f"{option} = {PAPERS_RUN.get((name, option), say_value(parameter._default))}".rstrip())
        lines.append("")
    return "\n".join(lines) + "\n"


def write_comment(text: str) -> list[str]:
    """Write a sentence as lines of tasks.cfg; a command between backticks stays on one line."""
    held = re.sub("`[^`]*`", lambda found: found[0].replace(" ", "\0"), text)
    lines = textwrap.wrap(held, 120, initial_indent="# ", subsequent_indent="# ", break_on_hyphens=False)
    return [line.replace("\0", " ") for line in lines]


def replace_sections(text: str) -> str:
    """Put the declared sections in place of those of a tasks.cfg; its beginning and Luigi's own sections stay."""
    start, end = text.index("[dataset]"), text.index("\n[core]") + 1
    return text[:start] + render_sections() + text[end:]


def main() -> None:
    """Write both files."""
    PAGE.write_text(render_page(), encoding="utf-8")
    TASKS_CFG.write_text(replace_sections(TASKS_CFG.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
