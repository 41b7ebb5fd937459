"""What the JSON files of a folder of runs may hold: a shape takes what it asks for and names the place of a fault."""

import re

import pytest

from pipeline import json_shapes as shapes


@pytest.mark.parametrize(
    ("shape", "values"),
    [
        (shapes.text, ["", "a"]),
        (shapes.flag, [True, False]),
        (shapes.count, [0, 7]),
        (shapes.number, [0, -1.5, 1e300]),
        (shapes.number_or_none, [None, 2]),
        (shapes.any_object, [{}, {"a": [None]}]),
        (shapes.list_of(shapes.count), [[], [1, 2]]),
        (shapes.tuple_of(shapes.text, shapes.count), [["a", 1]]),
        (shapes.by_name(shapes.flag), [{}, {"any name/at all": True}]),
        (shapes.by_plain_name(shapes.count), [{"anet": 1, "joint_2-b": 2, "a" * 64: 3}]),
        (shapes.object_of({"a": shapes.count}, {"b": shapes.text}), [{"a": 1}, {"a": 1, "b": "x"}, {"a": 1, "c": 1.5}]),
    ],
)
def test_what_a_shape_asks_for_passes(shape, values):
    for value in values:
        shape(value, "value")


@pytest.mark.parametrize(
    ("shape", "value", "message"),
    [
        (shapes.text, 1, "value is 1, it must be text"),
        (shapes.flag, 1, "value is '1', it must be true or false"),
        (shapes.count, -1, "value is -1, it must be a whole number from 0"),
        (shapes.count, True, "value is True, it must be a whole number from 0"),
        (shapes.count, 1.0, "value is 1.0, it must be a whole number from 0"),
        (shapes.number, float("nan"), "value is 'nan', it must be a number"),
        (shapes.number, float("-inf"), "value is '-inf', it must be a number"),
        (shapes.number, 10**400, "it must be a number"),
        (shapes.number, True, "value is 'True', it must be a number"),
        (shapes.number, None, "value is 'None', it must be a number"),
        (shapes.number_or_none, "1", "value is '1', it must be a number"),
        (shapes.any_object, [], "value is a list, it must be an object"),
        (shapes.list_of(shapes.count), [1, -2], "value[1] is -2"),
        (shapes.list_of(shapes.count), {}, "value is a dict, it must be a list"),
        (shapes.tuple_of(shapes.text, shapes.count), ["a"], "value has 1 entries, it must have 2"),
        (shapes.tuple_of(shapes.text, shapes.count), ["a", 1, 2], "value has 3 entries, it must have 2"),
        (shapes.tuple_of(shapes.text, shapes.count), ["a", "b"], "value[1] is 'b'"),
        (shapes.by_name(shapes.list_of(shapes.flag)), {"x": [True, 0]}, "value.x[1] is '0', it must be true or false"),
        (shapes.by_plain_name(shapes.count), {"anet": -1}, "value.anet is -1"),
        (shapes.object_of({"a": shapes.count}), {}, "value has no a"),
        (shapes.object_of({"a": shapes.count}), {"a": None}, "value.a is None"),
        (shapes.object_of({}, {"b": shapes.text}), {"b": 1}, "value.b is 1, it must be text"),
    ],
)
def test_a_fault_is_told_with_its_place(shape, value, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        shape(value, "value")


@pytest.mark.parametrize("name", ["", "../up", "a/b", "-a", ".hidden", "a.b", "a\n", "ä", "a" * 65])
def test_a_name_that_could_lead_to_another_file_is_refused(name):
    with pytest.raises(ValueError, match="it must be letters, digits, _ and -"):
        shapes.by_plain_name(shapes.count)({name: 1}, "value")
