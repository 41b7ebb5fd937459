"""A figure as SVG inside a page: it uses the page's colours, and shows a point's title under the mouse pointer."""

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote, unquote
from xml.etree import ElementTree

from matplotlib.figure import Figure

_SVG = "http://www.w3.org/2000/svg"
_LINK = "{http://www.w3.org/1999/xlink}href"
#: The colours in which matplotlib draws, and the page's variables that replace them, for light and dark pages.
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
#: An address that begins with this holds a point's title and its link.
_SCHEME = "title:"


@dataclass(frozen=True)
class Told:
    """The title and link of a point.

    Args:
        title: Shown when the mouse pointer is on the point.
        link: The address that a click opens; "" for none.
    """

    title: str
    link: str = ""


def as_urls(told: Sequence[Told]) -> list[str]:
    """Encode the points' titles and links as `urls` of a matplotlib collection; `render_inline` decodes them."""
    return [f"{_SCHEME}{quote(point.title, safe='')},{quote(point.link, safe='')}" for point in told]


def render_inline(figure: Figure, name: str, label: str) -> str:
    """Give a figure as an `<svg>` element. It has no script, and no addresses except the links of its points.

    Equal figures give equal text where matplotlib's `svg.hashsalt` is set, as in the style of the report's figures.

    Args:
        figure: The figure.
        name: The beginning of the ids in it; no other figure of the page may have the same.
        label: A description of the figure, for readers who cannot see it.
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
    """Remove line ends and indents, which are a third of a figure with many points."""
    if not (element.text or "").strip():
        element.text = None
    if not (element.tail or "").strip():
        element.tail = None


def _take_page_colours(element: ElementTree.Element) -> None:
    style = element.get("style")
    if style is not None:
        element.set("style", _FONTS.sub("", _COLOUR.sub(lambda found: _COLOURS[found[0]], style)))


def _rename(element: ElementTree.Element, name: str) -> None:
    """Put the figure's name in front of ids, and of all references to them."""
    if "id" in element.attrib:
        element.set("id", f"{name}-{element.attrib['id']}")
    for attribute in ("clip-path", "style"):
        if attribute in element.attrib:
            element.set(attribute, _OWN_ADDRESS.sub(rf"url(#{name}-\1)", element.attrib[attribute]))
    address = element.attrib.pop(_LINK, None)
    if address is not None:
        element.set("href", f"#{name}-{address[1:]}" if address.startswith("#") else address)


def _tell(element: ElementTree.Element) -> None:
    """Give a point its title and link; a point without a link becomes a group."""
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
