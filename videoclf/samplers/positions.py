"""Where the clips of a test protocol stand: as fractions of the room that a clip may move in."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np

Positions = Literal["ends", "without_end", "centres"]
POSITIONS: tuple[str, ...] = get_args(Positions)


def clip_fractions(num_clips: int, positions: Positions) -> np.ndarray:
    """Place clips evenly in [0, 1]; one clip stands in the middle, whatever the positions.

    For 4 clips: `ends` is 0, 1/3, 2/3, 1 (VideoMAE); `without_end` is 0, 1/4, 1/2, 3/4
    (PySlowFast; of segments, TSM's two shifted samples); `centres` is 1/8, 3/8, 5/8, 7/8.

    Returns:
        float64 (num_clips,), ascending.
    """
    if num_clips == 1:
        return np.array([0.5])
    numbers = np.arange(num_clips)
    if positions == "ends":
        return np.asarray(numbers / (num_clips - 1))
    if positions == "without_end":
        return np.asarray(numbers / num_clips)
    if positions == "centres":
        return np.asarray((numbers + 0.5) / num_clips)
    raise ValueError(f"views.positions={positions!r} must be one of {', '.join(POSITIONS)}")
