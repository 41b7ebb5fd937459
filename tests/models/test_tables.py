import doctest

from models import tables


def test_example_in_docstring():
    assert doctest.testmod(tables) == (0, 2)
