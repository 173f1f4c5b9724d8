"""Benchmarks are scripts: their folder is on the path while they run, and nothing of them stays."""

import importlib
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def script(monkeypatch, tmp_path):
    """Import a script of the folder by its name."""
    monkeypatch.syspath_prepend(FOLDER)
    monkeypatch.setenv("VIDEOCLF_CACHE", str(tmp_path))  # measuring sets it; undone at the end
    yield importlib.import_module
    for name in [path.stem for path in FOLDER.glob("*.py")]:
        sys.modules.pop(name, None)
