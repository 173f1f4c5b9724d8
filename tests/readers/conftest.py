"""The corpus, made once a session on first use, and a cache folder of the tests' own."""

from __future__ import annotations

import os

import av
import pytest

from tests.readers.corpus import CASES

os.environ.setdefault("SVT_LOG", "1")  # the AV1 encoder writes to the terminal otherwise


@pytest.fixture(scope="session")
def corpus(tmp_path_factory):
    """Return a function from a case's name to its (path, case); files are made on first use."""
    folder = tmp_path_factory.mktemp("corpus")
    cases = {case.name: case for case in CASES}

    def get(name):
        case = cases[name]
        if case.encoder not in av.codecs_available:
            pytest.skip(f"this PyAV has no encoder {case.encoder}")
        path = folder / f"{case.name}{case.suffix}"
        if not path.exists():
            case.make(path)
        return str(path), case

    return get


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    """Keep the tests' packet indexes out of the user's cache."""
    monkeypatch.setenv("VIDEOCLF_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"
