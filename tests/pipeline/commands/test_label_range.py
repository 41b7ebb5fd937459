"""The option `--label-range`: its two numbers, and the sentence for anything else."""

import argparse

import pytest

from pipeline.commands.label_range import add_label_range, check_label_range, read_label_range
from pipeline.errors import UserError


def parse(*words):
    parser = argparse.ArgumentParser()
    add_label_range(parser, "the labels")
    return parser.parse_args(words)


def test_without_the_option_the_scale_is_the_challenges():
    assert read_label_range(parse()) == (-1.0, 1.0)


@pytest.mark.parametrize(
    ("words", "ends"), [(("1", "9"), (1, 9)), (("-5", "-0.5"), (-5, -0.5)), (("0", "1e2"), (0, 100))]
)
def test_the_lower_end_comes_first(words, ends):
    assert read_label_range(parse("--label-range", *words)) == ends


@pytest.mark.parametrize("words", [("9", "1"), ("1", "1"), ("a", "b"), ("nan", "1"), ("0", "inf")])
def test_other_values_are_refused_with_the_options_name(words):
    message = f"^--label-range {' '.join(words)}: it must be two numbers, the lower and the upper end"
    with pytest.raises(UserError, match=message):
        read_label_range(parse("--label-range", *words))


def test_ends_given_from_python_may_be_of_any_kind_of_number():
    assert check_label_range((1, 9.5)) == (1.0, 9.5)
    with pytest.raises(UserError, match=r"^label_range 1: it must be two numbers"):
        check_label_range((1,))
    with pytest.raises(UserError, match=r"^label_range 1 2 3: it must be two numbers"):
        check_label_range((1, 2, 3))
