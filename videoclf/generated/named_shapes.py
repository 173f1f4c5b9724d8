"""Moving shapes labelled by what they are: a task of appearance, which a single frame solves.

The clips are drawn as those of `moving_shapes`, but the class is the shape's outline, and its
motion is drawn at random. Clip n is the same in every class but for the outline, so that colours,
places and motions tell nothing. It serves to train a network of single frames, from which a video
network may start (`init_from`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from videoclf.generated.drawn import DrawnVideos
from videoclf.generated.moving_shapes import MOTIONS, sample_clip
from videoclf.generated.outlines import OUTLINES
from videoclf.generated.shapes import draw_frames


@dataclass(frozen=True, kw_only=True)
class NamedShapes(DrawnVideos):
    """Clips of a crescent, a drop, a heart, a fish, an arrow, a dart, a letter or a key.

    Args:
        root: see `DrawnVideos`, as are the others.
    """

    name: ClassVar[str] = "named_shapes"
    classes: ClassVar[tuple[str, ...]] = tuple(outline.__name__ for outline in OUTLINES)
    version: ClassVar[int] = 1

    def draw(self, path: str) -> NDArray[np.uint8]:
        """Draw the clip of a path such as `train/heart/00012.mp4`.

        Returns:
            uint8 (T, H, W, 3), RGB.
        """
        outline, entropy = self.clip_of(path)
        motion = MOTIONS[np.random.default_rng((*entropy, 1)).integers(len(MOTIONS))]
        appearance, states = sample_clip(entropy, motion, self.num_frames)
        appearance = replace(appearance, outline=self.classes.index(outline))
        return draw_frames(appearance, states, self.size_pixels)
