"""From seconds to frames: which frames of a video lie between two times."""

from __future__ import annotations

import numpy as np

from videoclf.errors import UnreadableVideoError


def frame_span(
    path: str, times: np.ndarray, start: float | None, end: float | None
) -> tuple[int, int]:
    """Return the half-open range of frames between two times.

    Args:
        path: of the video, for the error.
        times: float64 (N,), seconds of each frame, ascending.
        start: seconds; None for the first frame.
        end: seconds, exclusive; None for all that follow.

    Raises:
        UnreadableVideoError: no frame lies between them.
    """
    # a frame exactly at `end` belongs to what follows; 1e-6 absorbs the rounding of timestamps
    first = 0 if start is None else int(np.searchsorted(times, start - 1e-6))
    last = len(times) if end is None else int(np.searchsorted(times, end - 1e-6))
    if last <= first:
        until = "its end" if end is None else f"{end:g} s"
        length = float(times[-1]) if len(times) else 0.0
        reason = f"has no frame between {start or 0:g} s and {until}; it is {length:.2f} s long"
        raise UnreadableVideoError(path, reason)
    return first, last
