"""Pyramidal Lucas-Kanade on a dense grid: each point's window is followed by least squares.

Lucas, Kanade, IJCAI 1981; Bouguet, "Pyramidal Implementation of the Lucas Kanade Feature
Tracker", 2001. Points whose window has no texture, or that leave the frame, are lost; their
displacement, and that of the pixels between the points, is interpolated from their neighbours. A
median over the grid takes out single points that were led astray.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from videoclf.flow.pairwise import PairFlow, PairwiseEstimator, check_at_least

#: Least eigenvalue of a window's gradient matrix, by its area, below which it has no texture.
_LEAST_TEXTURE = 1e-3


@dataclass(frozen=True, kw_only=True)
class LucasKanade(PairwiseEstimator):
    """Pyramidal Lucas-Kanade.

    Args:
        grid_pixels: from one point of the grid to the next, in x and in y.
        window_pixels: side of the window that is followed, odd.
        levels: of the pyramid, the full size included.
        iterations: at each level.
        median_points: side of the median over the grid: 1 (none), 3 or 5.

    Raises:
        ValueError: a value out of range.
    """

    grid_pixels: int = 4
    window_pixels: int = 15
    levels: int = 4
    iterations: int = 20
    median_points: int = 5

    def __post_init__(self) -> None:
        check_at_least(
            "lucas_kanade",
            grid_pixels=(self.grid_pixels, 1),
            window_pixels=(self.window_pixels, 3),
            levels=(self.levels, 1),
            iterations=(self.iterations, 1),
        )
        if self.window_pixels % 2 == 0:
            raise ValueError(f"lucas_kanade: window_pixels must be odd, not {self.window_pixels}")
        if self.median_points not in (1, 3, 5):
            raise ValueError(
                f"lucas_kanade: median_points must be 1, 3 or 5, not {self.median_points}"
            )

    def pair_flow(self) -> PairFlow:
        """Return OpenCV's function with the settings."""
        window = (self.window_pixels, self.window_pixels)
        criteria = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, self.iterations, 0.01)

        def calculate(first: np.ndarray, second: np.ndarray) -> np.ndarray:
            height, width = first.shape
            points = _grid(height, width, self.grid_pixels)  # (rows, columns, 2)
            moved, found, _ = cv2.calcOpticalFlowPyrLK(
                first,
                second,
                points.reshape(-1, 1, 2),
                None,  # type: ignore[call-overload]  # no positions to begin with
                winSize=window,
                maxLevel=self.levels - 1,
                criteria=criteria,
                minEigThreshold=_LEAST_TEXTURE,
            )
            displacements = moved.reshape(points.shape) - points  # (rows, columns, 2)
            # a point that has left the frame was followed by what lies at its border
            inside = (moved >= 0).all(-1) & (moved <= (width - 1, height - 1)).all(-1)
            kept = (found.astype(bool) & inside).reshape(points.shape[:2])
            smooth = cv2.medianBlur(_filled(displacements, kept), self.median_points)
            return _between(smooth, height, width, self.grid_pixels)

        return calculate


def _grid(height: int, width: int, step: int) -> np.ndarray:
    """Return the points of the grid as x and y, float32 (rows, columns, 2), centred."""
    columns = np.arange((width - 1) % step // 2, width, step, dtype=np.float32)
    rows = np.arange((height - 1) % step // 2, height, step, dtype=np.float32)
    return np.stack(np.meshgrid(columns, rows), axis=-1)


def _filled(displacements: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """Fill lost points with the mean of kept ones around them, the nearer the heavier.

    The neighbourhood doubles until every point has kept ones in it. (rows, columns, 2)
    """
    filled = np.where(kept[..., None], displacements, 0).astype(np.float32)
    known = kept.copy()
    sigma = 1.0
    while known.any() and not known.all():
        weights = cv2.GaussianBlur(kept.astype(np.float32), (0, 0), sigma)
        sums = cv2.GaussianBlur(np.where(kept[..., None], displacements, 0), (0, 0), sigma)
        new = ~known & (weights > 1e-3)
        filled[new] = sums[new] / weights[new, None]
        known |= new
        sigma *= 2
    return filled


def _between(displacements: np.ndarray, height: int, width: int, step: int) -> np.ndarray:
    """Interpolate from the grid to all pixels: (rows, columns, 2) -> float32 (height, width, 2)."""
    x = (np.arange(width, dtype=np.float32) - (width - 1) % step // 2) / step
    y = (np.arange(height, dtype=np.float32) - (height - 1) % step // 2) / step
    map_x, map_y = np.meshgrid(x, y)
    return cv2.remap(displacements, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
