"""Farneback's flow: neighbourhoods as quadratic polynomials, whose shift is solved for.

Farneback, "Two-frame motion estimation based on polynomial expansion", SCIA 2003. Smooth and
dense; the same on a mirrored video up to rounding, but for places without texture.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from videoclf.flow.pairwise import PairFlow, PairwiseEstimator, check_at_least


@dataclass(frozen=True, kw_only=True)
class Farneback(PairwiseEstimator):
    """Farneback's method, with the settings of OpenCV's own example.

    Args:
        levels: of the pyramid, the full size included.
        pyramid_scale: size of a level by that of the one below, in (0, 1).
        window_pixels: over which displacements are averaged; larger is smoother, and catches
            faster motion.
        iterations: at each level.
        polynomial_pixels: neighbourhood of a polynomial, odd: 5 or 7.
        polynomial_sigma_pixels: width of its Gaussian weight; 1.1 for 5 pixels, 1.5 for 7.

    Raises:
        ValueError: a value out of range.
    """

    levels: int = 3
    pyramid_scale: float = 0.5
    window_pixels: int = 15
    iterations: int = 3
    polynomial_pixels: int = 5
    polynomial_sigma_pixels: float = 1.2

    def __post_init__(self) -> None:
        check_at_least(
            "farneback",
            levels=(self.levels, 1),
            window_pixels=(self.window_pixels, 1),
            iterations=(self.iterations, 1),
            polynomial_pixels=(self.polynomial_pixels, 3),
            polynomial_sigma_pixels=(self.polynomial_sigma_pixels, 0.1),
        )
        if not 0 < self.pyramid_scale < 1:
            raise ValueError(
                f"farneback: pyramid_scale must be between 0 and 1, not {self.pyramid_scale}"
            )
        if self.polynomial_pixels % 2 == 0:
            raise ValueError(
                f"farneback: polynomial_pixels must be odd, not {self.polynomial_pixels}"
            )

    def pair_flow(self) -> PairFlow:
        """Return OpenCV's function with the settings."""

        def calculate(first: np.ndarray, second: np.ndarray) -> np.ndarray:
            field: np.ndarray = cv2.calcOpticalFlowFarneback(
                first,
                second,
                None,  # type: ignore[call-overload]  # no flow to begin with
                self.pyramid_scale,
                self.levels,
                self.window_pixels,
                self.iterations,
                self.polynomial_pixels,
                self.polynomial_sigma_pixels,
                0,
            )
            return field

        return calculate
