"""Builds formats as the composing process does: from their own YAML, with overrides."""

import importlib
from pathlib import Path

import pytest
import yaml

PROJECT = Path(__file__).parents[3]
SHARED = PROJECT.parent / "shared" / "data"


@pytest.fixture
def build():
    """`build("ucf101", root=...)`: the object that `data=ucf101 data.root=...` gives."""

    def build(name, **overrides):
        folder = PROJECT / "conf" / "data"
        values = yaml.safe_load((folder / "_loading.yaml").read_text())
        values |= yaml.safe_load((folder / f"{name}.yaml").read_text())
        module, _, cls = values.pop("_target_").rpartition(".")
        values.pop("defaults")
        values |= {"num_workers": 0, "modalities": ("rgb",)}
        values |= {k: str(v) if isinstance(v, Path) else v for k, v in overrides.items()}
        return getattr(importlib.import_module(module), cls)(**values)

    return build


@pytest.fixture
def touch():
    """`touch(root, ["a/b.mp4", ...])`: make empty files; formats look at names only."""

    def touch(root, paths):
        for path in paths:
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).touch()
        return root

    return touch


@pytest.fixture
def write(tmp_path):
    """`write({"train.csv": "..."})`: a folder of annotation files."""

    def write(files):
        folder = tmp_path / "annotations"
        folder.mkdir(exist_ok=True)
        for name, content in files.items():
            data = content if isinstance(content, bytes) else content.encode()
            (folder / name).write_bytes(data)
        return folder

    return write


@pytest.fixture
def samples():
    """`samples("hmdb51")`: a folder of real annotation files, or a skip."""

    def samples(name):
        folder = SHARED / name
        if not folder.exists():
            pytest.skip(f"no real annotation files at {folder}")
        return folder

    return samples
