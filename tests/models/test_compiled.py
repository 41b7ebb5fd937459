"""Compiled modules: there, missing, or left over from other sources."""

import importlib
import logging
import os
import sys
import types

import pytest

from models.compiled import load_compiled

MODULES = ["models.sphereface._sphereface", "models.mtcnn._mtcnn", "pipeline.faces._images"]


@pytest.fixture(autouse=True)
def nothing_is_loaded():
    load_compiled.cache_clear()
    yield
    load_compiled.cache_clear()


@pytest.mark.parametrize("name", MODULES)
def test_modules_are_built(name):
    if os.environ.get("VALAR_REQUIRE_KERNEL") != "1":
        pytest.importorskip(name, reason="not compiled; an error with VALAR_REQUIRE_KERNEL=1")
    assert isinstance(importlib.import_module(name).LAYOUT, int)


def test_module_that_was_never_built_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "models.sphereface._sphereface", None)  # importing it fails
    assert load_compiled("models.sphereface._sphereface", 1) is None


@pytest.mark.parametrize("left_over", [{"LAYOUT": 1}, {}])
def test_module_of_other_sources_is_not_used_and_said_to_be_there(monkeypatch, caplog, left_over):
    module = types.ModuleType("models._left_over")
    module.__file__ = "models/_left_over.so"
    vars(module).update(left_over)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    with caplog.at_level(logging.WARNING, "valar"):
        assert load_compiled("models._left_over", 2) is None
    assert "models/_left_over.so was compiled from other sources" in caplog.text
    assert "run `make` again" in caplog.text
    module.LAYOUT = 2
    load_compiled.cache_clear()
    assert load_compiled("models._left_over", 2) is module
