"""Builds small sets of moving shapes and decodes what was encoded."""

import io

import av
import numpy as np
import pytest

from videoclf.generated.moving_shapes import MovingShapes


@pytest.fixture
def make_shapes():
    """Return a function that builds `MovingShapes`, tiny unless told otherwise."""

    def make(**changes):
        values = {
            "root": None,
            "reader": "pyav",
            "modalities": ("rgb",),
            "flow_folder": None,
            "flow_method": "dis",
            "flow_bound_pixels": 20.0,
            "batch_size": 4,
            "clips_per_video": 1,
            "num_workers": 0,
            "seconds_per_file": None,
            "directional": True,
            "max_unreadable": 0,
            "verify_hashes": "once",
            "num_classes": None,
            "class_names": None,
            "num_train": 16,
            "num_val": 8,
            "num_test": 8,
            "num_frames": 5,
            "size_pixels": 32,
            "seed": 0,
        }
        return MovingShapes(**{**values, **changes})

    return make


@pytest.fixture
def decode():
    """Return a function that decodes a file's bytes to uint8 (T, H, W, 3)."""

    def decode_all(file):
        with av.open(io.BytesIO(file)) as container:
            return np.stack([f.to_ndarray(format="rgb24") for f in container.decode(video=0)])

    return decode_all
