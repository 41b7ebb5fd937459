"""Figures inside of a page: points that say what they are, the page's colours, and nothing that runs or is fetched."""

import re
from xml.etree import ElementTree

import matplotlib
import pytest
from matplotlib.figure import Figure

from pipeline.report.figures.inline_svg import Told, as_urls, render_inline

EVIL = "</title><script>alert('x, y')</script>"


def draw(told):
    figure = Figure(figsize=(3, 2))
    axes = figure.subplots()
    points = axes.scatter(range(len(told)), range(len(told)), color="#0072b2")
    points.set_urls(as_urls(told))
    axes.plot([0, 1], [1, 0], color="#000000")
    return figure


@pytest.fixture(scope="module")
def svg():
    return render_inline(
        draw([Told("anna, 1: 0.5"), Told(EVIL, "browse/clips/1.html?a=1,2")]), "one", 'A "plain" figure'
    )


def test_each_point_says_what_it_is_and_only_one_that_leads_somewhere_is_a_link(svg):
    root = ElementTree.fromstring(svg)
    space = "{http://www.w3.org/2000/svg}"
    titles = {element.text: parent for parent in root.iter() for element in parent if element.tag == f"{space}title"}
    assert titles.keys() == {"anna, 1: 0.5", EVIL}
    assert titles["anna, 1: 0.5"].tag == f"{space}g"
    assert titles[EVIL].tag == f"{space}a"
    assert titles[EVIL].get("href") == "browse/clips/1.html?a=1,2"


def test_nothing_of_it_runs_or_is_fetched(svg):
    assert "<script" not in svg
    assert "<style" not in svg
    assert "<metadata" not in svg
    addresses = set(re.findall(r'\b(?:href|src)="([^"]*)"', svg)) - {"browse/clips/1.html?a=1,2"}
    assert all(address.startswith("#one-") for address in addresses)


def test_it_takes_the_page_s_colours_and_size(svg):
    assert "currentColor" in svg
    assert "var(--blue)" in svg
    assert "#0072b2" not in svg
    root = ElementTree.fromstring(svg)
    assert not {"width", "height"} & root.attrib.keys()
    assert (root.get("role"), root.get("aria-label")) == ("img", 'A "plain" figure')


def test_two_figures_of_a_page_share_no_name():
    pages = [render_inline(draw([Told("a")]), name, "x") for name in ("one", "two")]
    names = [set(re.findall(r'\bid="([^"]+)"', page)) for page in pages]
    assert names[0]
    assert not names[0] & names[1]
    for page, known in zip(pages, names, strict=True):
        referred = set(re.findall(r"url\(#([^)]+)\)", page)) | set(re.findall(r'href="#([^"]+)"', page))
        assert referred
        assert referred <= known


def test_equal_figures_give_equal_text():
    with matplotlib.rc_context({"svg.hashsalt": "valar"}):
        assert render_inline(draw([Told("a")]), "one", "x") == render_inline(draw([Told("a")]), "one", "x")
