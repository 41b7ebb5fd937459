"""Pages of the site that are not in docs/ itself: the store's format, a list of the decisions, the changelog."""

from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parent.parent


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages."""
    decisions = [
        f"- [{path.read_text(encoding='utf-8').partition(chr(10))[0].lstrip('# ')}](decisions/{path.name})"
        for path in sorted((ROOT / "docs" / "decisions").glob("*.md"))
    ]
    pages = {
        "format.md": (ROOT / "store" / "FORMAT.md").read_text(encoding="utf-8"),
        "decisions.md": "# Decisions\n\nChoices with numbers behind them.\n\n" + "\n".join(decisions) + "\n",
        "changelog.md": (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"),
    }
    for name, text in pages.items():
        files.append(File.generated(config, name, content=text))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Let links to the format lead to its page."""
    return markdown.replace("](../store/FORMAT.md", "](format.md")
