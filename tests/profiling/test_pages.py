"""The committed pages are what `make docs` would write."""

import importlib.util
from pathlib import Path

import pytest
import torch

from tests.models.contract import configured, count

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture(scope="module")
def pages():
    spec = importlib.util.spec_from_file_location("pages", DOCS / "pages.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_pages_are_those_of_the_docstrings_and_figures(pages):
    figures = pages.load_figures()
    assert sorted(figures) == pages.config_names(), "run make docs"
    wanted = pages.render(figures)
    for path, text in wanted.items():
        assert path.read_text(encoding="utf-8") == text, f"{path.name} is old: run make docs"
        assert len(text.encode()) < 60_000
    there = {*(DOCS / "models").glob("*.md"), *(DOCS / "images" / "models").glob("*.svg")}
    assert there <= set(wanted), "a page without its model: run make docs"


def test_every_docstring_has_what_a_page_needs(pages):
    for strategy in {pages.strategy_of(name) for name in pages.config_names()}:
        text = pages.docstring(strategy)
        for phrase in ("When to use it:", "Source"):
            assert phrase in text, f"videoclf/models/{strategy}.py lacks {phrase!r}"


def test_figures_are_those_of_the_models(pages):
    figures = pages.load_figures()
    for name, figure in figures.items():
        with torch.device("meta"):
            model = configured(
                name,
                num_classes=figure["num_classes"],
                num_frames=figure["num_frames"],
                image_size=figure["crop_pixels"],
            )
        assert count(model) == figure["parameters"], f"{name} has changed: run make docs"
