"""Windows over a long video: where they lie, and which stretch of time each one speaks for.

Pure arithmetic. A window of 2 s every 1 s over 4.5 s: [0, 2), [1, 3), [2, 4), [2.5, 4.5). The last
one ends with the video, so that nothing stays unseen.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

#: Less than the duration of any frame: a difference that is rounding.
_TINY_SECONDS = 1e-6


@dataclass(frozen=True)
class Windows:
    """M windows.

    Args:
        starts: float64 (M,), seconds from the first frame, ascending.
        window_seconds: their length, at most the video's.
        duration_seconds: of the video, the last frame's time included.
    """

    starts: np.ndarray
    window_seconds: float
    duration_seconds: float

    def __len__(self) -> int:
        return len(self.starts)

    @property
    def ends(self) -> np.ndarray:
        """float64 (M,), seconds, exclusive."""
        ends: np.ndarray = self.starts + self.window_seconds
        return ends

    @property
    def bounds(self) -> np.ndarray:
        """float64 (M + 1,): window m speaks for [bounds[m], bounds[m + 1]).

        Each moment belongs to the window whose middle is nearest, the ends to the first and last.
        """
        middles = self.starts + self.window_seconds / 2
        between = (middles[:-1] + middles[1:]) / 2
        return np.concatenate([[0.0], between, [self.duration_seconds]])


def place_windows(
    duration_seconds: float, *, window_seconds: float, stride_seconds: float
) -> Windows:
    """Lay windows over a video; one of its whole length where it is shorter than a window.

    Raises:
        ValueError: a window or stride that is not above 0.
    """
    for name, value in (("window", window_seconds), ("stride", stride_seconds)):
        if not value > 0:
            raise ValueError(f"--{name}={value:g} must be above 0 seconds")
    room = duration_seconds - window_seconds
    if room <= _TINY_SECONDS:
        return Windows(np.zeros(1), duration_seconds, duration_seconds)
    count = int((room + _TINY_SECONDS) // stride_seconds) + 1
    starts = np.arange(count) * stride_seconds
    if room - starts[-1] > _TINY_SECONDS:
        starts = np.append(starts, room)
    return Windows(starts, window_seconds, duration_seconds)


def shown_frames(times: np.ndarray, start: float, end: float) -> tuple[int, int]:
    """Return the half-open range of the frames that a window shows.

    As `readers.span.frame_span`, but where no frame begins inside the window it is the one that
    still stands on screen.

    Args:
        times: float64 (N,), seconds of each frame, ascending.
        start: seconds.
        end: seconds, exclusive.
    """
    first = int(np.searchsorted(times, start - _TINY_SECONDS))
    last = int(np.searchsorted(times, end - _TINY_SECONDS))
    return (first, last) if last > first else (max(0, first - 1), max(1, first))
