"""What a clip holds where it reaches past the end of a short video."""

from __future__ import annotations

from typing import Literal

import numpy as np


def pad_indices(indices: np.ndarray, length: int, padding: Literal["last", "loop"]) -> np.ndarray:
    """Bring indices into [0, length): repeat the last frame, or start again from the first.

    For `length` 3, [0, 2, 4, 6] becomes [0, 2, 2, 2] with `last` and [0, 2, 1, 0] with `loop`.

    Raises:
        ValueError: a video without frames, or an unknown padding.
    """
    if length < 1:
        raise ValueError(f"a video of {length} frames has nothing to sample")
    if padding == "last":
        return np.asarray(np.minimum(indices, length - 1))
    if padding == "loop":
        return np.asarray(indices % length)
    raise ValueError(f"sampler.padding={padding!r} must be 'last' or 'loop'")
