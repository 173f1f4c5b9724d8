"""DIS flow: patches found by inverse search, spread over the pixels, then refined.

Kroeger, Timofte, Dai, Van Gool, "Fast Optical Flow using Dense Inverse Search", ECCV 2016. The
fastest of the accurate ones. Its patches are laid from the left and each starts from its
neighbours' result, so a mirrored video has a somewhat different flow.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from videoclf.flow.pairwise import PairFlow, PairwiseEstimator

#: From fast to accurate: OpenCV's number of each preset.
PRESETS = {
    "ultrafast": cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST,
    "fast": cv2.DISOPTICAL_FLOW_PRESET_FAST,
    "medium": cv2.DISOPTICAL_FLOW_PRESET_MEDIUM,
}


@dataclass(frozen=True, kw_only=True)
class Dis(PairwiseEstimator):
    """Dense inverse search.

    Args:
        preset: `ultrafast` and `fast` (patches of 8 pixels, every 4) stop at a quarter of the
            size, `medium` (every 3) at half of it; ultrafast is not refined.
        refinements: iterations of the variational refinement that ends each scale; None takes
            the preset's (0, 5, 5).

    Raises:
        ValueError: no such preset, or a negative number.
    """

    preset: str = "medium"
    refinements: int | None = None

    def __post_init__(self) -> None:
        if self.preset not in PRESETS:
            raise ValueError(f"dis: preset {self.preset!r} is none of {', '.join(PRESETS)}")
        if self.refinements is not None and self.refinements < 0:
            raise ValueError(f"dis: refinements must be at least 0, not {self.refinements}")

    def pair_flow(self) -> PairFlow:
        """Return OpenCV's function with the settings."""
        search = cv2.DISOpticalFlow.create(PRESETS[self.preset])
        if self.refinements is not None:
            search.setVariationalRefinementIterations(self.refinements)

        def calculate(first: np.ndarray, second: np.ndarray) -> np.ndarray:
            return search.calc(first, second, None)  # type: ignore[call-overload, no-any-return]

        return calculate
