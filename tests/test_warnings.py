"""Warnings fail a test: the settings of pytest let none of ours through."""

import warnings

import pytest


@pytest.mark.parametrize("kind", [ResourceWarning, DeprecationWarning, RuntimeWarning])
def test_a_warning_is_an_error(kind):
    with pytest.raises(kind, match="a file was left open"):
        warnings.warn("a file was left open", kind, stacklevel=1)
