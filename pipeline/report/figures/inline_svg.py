"""A figure as SVG inside of a page: it takes the page's colours, and says what a point is when one points at it."""

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote, unquote
from xml.etree import ElementTree

from matplotlib.figure import Figure

_SVG = "http://www.w3.org/2000/svg"
_LINK = "{http://www.w3.org/1999/xlink}href"
#: What matplotlib draws in, and what stands for it in a page that is light or dark.
_COLOURS = {
    "#000000": "currentColor",
    "#e6e6e6": "var(--line)",
    "#cccccc": "var(--line)",
    "#6b6b6b": "var(--soft)",
    "#ffffff": "var(--ground)",
    "#0072b2": "var(--blue)",
    "#d55e00": "var(--orange)",
    "#009e73": "var(--green)",
}
_COLOUR = re.compile("|".join(_COLOURS))
_FONTS = re.compile("font-family: [^;]*;? ?")
_OWN_ADDRESS = re.compile(r"url\(#([^)]*)\)")
#: Begins an address that is a point's title, and perhaps where it leads.
_SCHEME = "title:"


@dataclass(frozen=True)
class Told:
    """What a point says.

    Args:
        title: Shown when one points at it.
        link: Where a click leads; "" for nowhere.
    """

    title: str
    link: str = ""


def as_urls(told: Sequence[Told]) -> list[str]:
    """Give what points say as matplotlib's `urls` of a collection, from which `render_inline` takes it."""
    return [f"{_SCHEME}{quote(point.title, safe='')},{quote(point.link, safe='')}" for point in told]


def render_inline(figure: Figure, name: str, label: str) -> str:
    """Give a figure as an `<svg>` element. It holds no script, and no address but those that its points lead to.

    Equal figures give equal text where matplotlib's `svg.hashsalt` is set, as in the style of the report's figures.

    Args:
        figure: The figure.
        name: Begins the names of its parts, which no other figure of the page may have.
        label: What it shows, for those who do not see it.
    """
    file = io.BytesIO()
    figure.savefig(file, format="svg", metadata={"Date": None})
    root = ElementTree.fromstring(file.getvalue())
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag in (f"{{{_SVG}}}metadata", f"{{{_SVG}}}style"):
                parent.remove(child)
    for element in root.iter():
        _drop_blanks(element)
        _take_page_colours(element)
        _rename(element, name)
        if element.tag == f"{{{_SVG}}}a":
            _tell(element)
    for size in ("width", "height", "version"):
        root.attrib.pop(size, None)
    root.attrib |= {"role": "img", "aria-label": label}
    ElementTree.register_namespace("", _SVG)
    return ElementTree.tostring(root, encoding="unicode")


def _drop_blanks(element: ElementTree.Element) -> None:
    """Leave out line ends and indents, a third of a file of points."""
    if not (element.text or "").strip():
        element.text = None
    if not (element.tail or "").strip():
        element.tail = None


def _take_page_colours(element: ElementTree.Element) -> None:
    style = element.get("style")
    if style is not None:
        element.set("style", _FONTS.sub("", _COLOUR.sub(lambda found: _COLOURS[found[0]], style)))


def _rename(element: ElementTree.Element, name: str) -> None:
    """Let names of parts, and what refers to them, begin with the figure's."""
    if "id" in element.attrib:
        element.set("id", f"{name}-{element.attrib['id']}")
    for attribute in ("clip-path", "style"):
        if attribute in element.attrib:
            element.set(attribute, _OWN_ADDRESS.sub(rf"url(#{name}-\1)", element.attrib[attribute]))
    address = element.attrib.pop(_LINK, None)
    if address is not None:
        element.set("href", f"#{name}-{address[1:]}" if address.startswith("#") else address)


def _tell(element: ElementTree.Element) -> None:
    """Let a point say its title; one that leads nowhere is no link."""
    element.attrib.pop("target", None)
    address = element.attrib.pop("href", "")
    title, _, link = (unquote(part) for part in address.removeprefix(_SCHEME).partition(","))
    if link:
        element.set("href", link)
    else:
        element.tag = f"{{{_SVG}}}g"
    told = ElementTree.Element(f"{{{_SVG}}}title")
    told.text = title
    element.insert(0, told)
