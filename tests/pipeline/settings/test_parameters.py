"""Kinds of settings: how each is read, checked, and said in words."""

from pathlib import Path

import pytest

from pipeline.settings.parameters import (
    choice,
    epochs,
    integer,
    number,
    parse_label_range,
    path,
    say_limits,
    say_meaning,
    say_value,
    switch,
    text,
)


@pytest.mark.parametrize(
    ("parameter", "written", "value"),
    [
        (integer(4, 1, 8, "x"), "8", 8),
        (number(0.5, 0, 1, "x"), "1", 1.0),
        (choice("a", ["a", "b"], "x"), "b", "b"),
        (switch(False, "x"), "true", True),
        (epochs((1,), "x"), "8, 16,24", (8, 16, 24)),
        (epochs((1,), "x"), "", ()),
        (text("", "x"), "any = thing", "any = thing"),
        (path("", "x"), "./a b", "./a b"),
    ],
)
def test_a_value_is_read_and_written_as_it_stood(parameter, written, value):
    assert parameter.parse(written) == value
    assert parameter.parse(say_value(value)) == value


@pytest.mark.parametrize(
    ("parameter", "written"),
    [
        (integer(4, 1, 8, "x"), "0"),
        (integer(4, 1, 8, "x"), "9"),
        (integer(4, 1, 8, "x"), "2.5"),
        (number(0.5, 0, 1, "x"), "1.01"),
        (choice("a", ["a", "b"], "x"), "c"),
        (switch(False, "x"), "perhaps"),
        (epochs((1,), "x"), "8, soon"),
        (path("", "x"), "~nobody-of-this-name/a"),
    ],
)
def test_a_value_that_may_not_be_is_refused(parameter, written):
    with pytest.raises(ValueError, match=r"\S"):
        parameter.parse(written)


def test_a_tilde_is_the_home_folder(monkeypatch):
    monkeypatch.setenv("HOME", "/home/anna")
    assert Path(path("", "x").parse("~/clips")) == Path("/home/anna/clips")


@pytest.mark.parametrize(("written", "value"), [("1 9", (1, 9)), ("-1,1", (-1, 1)), ("0.5, 2", (0.5, 2))])
def test_a_label_range_is_two_numbers(written, value):
    assert parse_label_range(written) == value


@pytest.mark.parametrize("written", ["", "1", "9 1", "1 1", "1 2 3", "a b", "nan 1", "-inf 1", "0 inf"])
def test_anything_else_is_no_label_range(written):
    with pytest.raises(ValueError, match="two numbers, the lower and the upper end of the labels' scale"):
        parse_label_range(written)


def test_limits_and_meaning_are_said_in_words():
    said = [
        (integer(4, 1, 1 << 20, "Most."), "1 to 1048576"),
        (number(0.5, 0, 1, "A share."), "0 to 1"),
        (choice("b", ["b", "a"], "One of two."), "a, b"),
        (switch(True, "On."), "true, false"),
        (epochs((8,), "Steps."), "whole numbers with commas between them"),
        (path("", "Where."), "a path"),
        (text("", "Anything."), "text"),
    ]
    assert [say_limits(parameter) for parameter, _ in said] == [limits for _, limits in said]
    assert [say_meaning(parameter) for parameter, _ in said][:3] == ["Most.", "A share.", "One of two."]
    assert [say_value(value) for value in (True, (8, 16), (1.0, 9.0), 0.25, "x", 3)] == [
        "true",
        "8,16",
        "1 9",
        "0.25",
        "x",
        "3",
    ]
