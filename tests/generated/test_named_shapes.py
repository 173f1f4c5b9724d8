from dataclasses import fields

import numpy as np
import pytest

from videoclf.generated.named_shapes import NamedShapes
from videoclf.generated.outlines import OUTLINES


@pytest.fixture
def named_shapes(make_shapes, tmp_path):
    """The settings of a tiny `MovingShapes`, named."""
    settings = make_shapes(root=str(tmp_path / "named"))
    return NamedShapes(**{field.name: getattr(settings, field.name) for field in fields(settings)})


def test_the_classes_are_the_outlines(named_shapes):
    assert named_shapes.classes[:3] == ("crescent", "drop", "heart")
    manifest = named_shapes.manifest()
    assert manifest.class_names == tuple(outline.__name__ for outline in OUTLINES)
    assert manifest.counts() == {"train": 16, "val": 8, "test": 8}


def test_classes_differ_in_the_outline_alone(named_shapes):
    clips = [named_shapes.draw(f"train/{name}/00003.mp4") for name in named_shapes.classes]
    assert clips[0].shape == (5, 32, 32, 3)
    assert len({clip.tobytes() for clip in clips}) == len(clips)
    # no outline reaches the corners in all frames: there the clips are equal, pixel by pixel
    same = np.logical_and.reduce([(clip == clips[0]).all(-1) for clip in clips])
    assert same.mean() > 0.4


def test_the_motion_is_drawn_apart_from_the_outline(named_shapes):
    moved = {
        np.abs(np.diff(named_shapes.draw(f"train/heart/{n:05d}.mp4").astype(int), axis=0)).sum()
        for n in range(4)
    }
    assert len(moved) == 4
