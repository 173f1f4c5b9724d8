"""TV-L1 flow: brightness held by an L1 norm, smoothness by total variation, solved in duality.

Zach, Pock, Bischof, "A Duality Based Approach for Realtime TV-L1 Optical Flow", DAGM 2007; the
settings' names are those of Sanchez, Meinhardt-Llopis, Facciolo, IPOL 2013. What two-stream
networks (TSN, I3D) were trained on; accurate at borders of motion, and slow.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from videoclf.flow.pairwise import PairFlow, PairwiseEstimator, check_at_least


@dataclass(frozen=True, kw_only=True)
class TvL1(PairwiseEstimator):
    """TV-L1, with OpenCV's settings.

    Args:
        tau: time step of the dual scheme; 0.25 is the largest that surely converges.
        attachment: weight of the brightness (lambda in the paper); smaller is smoother.
        theta: how tightly the two halves of the energy are coupled; small is tight.
        scales: of the pyramid.
        scale_step: size of a scale by that of the one below, in (0, 1).
        warps: of the second frame, at each scale.
        epsilon: change, in pixels, at which iterating stops.
        inner_iterations: of the dual scheme, between two median filters.
        outer_iterations: of median filter and dual scheme, in each warp.
        median_pixels: of the median filter: 1 (none), 3 or 5.

    Raises:
        ValueError: a value out of range.
    """

    tau: float = 0.25
    attachment: float = 0.15
    theta: float = 0.3
    scales: int = 5
    scale_step: float = 0.8
    warps: int = 5
    epsilon: float = 0.01
    inner_iterations: int = 30
    outer_iterations: int = 10
    median_pixels: int = 5

    def __post_init__(self) -> None:
        check_at_least(
            "tvl1",
            scales=(self.scales, 1),
            warps=(self.warps, 1),
            inner_iterations=(self.inner_iterations, 1),
            outer_iterations=(self.outer_iterations, 1),
        )
        for name in ("tau", "attachment", "theta", "epsilon"):
            if not getattr(self, name) > 0:
                raise ValueError(f"tvl1: {name} must be above 0, not {getattr(self, name)}")
        if not 0 < self.scale_step < 1:
            raise ValueError(f"tvl1: scale_step must be between 0 and 1, not {self.scale_step}")
        if self.median_pixels not in (1, 3, 5):
            raise ValueError(f"tvl1: median_pixels must be 1, 3 or 5, not {self.median_pixels}")

    def pair_flow(self) -> PairFlow:
        """Return OpenCV's function with the settings."""
        solver = cv2.optflow.DualTVL1OpticalFlow.create(
            tau=self.tau,
            lambda_=self.attachment,
            theta=self.theta,
            nscales=self.scales,
            warps=self.warps,
            epsilon=self.epsilon,
            innnerIterations=self.inner_iterations,  # so spelled by OpenCV
            outerIterations=self.outer_iterations,
            scaleStep=self.scale_step,
            medianFiltering=self.median_pixels,
        )

        def calculate(first: np.ndarray, second: np.ndarray) -> np.ndarray:
            return solver.calc(first, second, None)  # type: ignore[call-overload, no-any-return]

        return calculate
