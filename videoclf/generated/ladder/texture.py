"""Texture: the whole picture is a random pattern that trembles, and nothing else happens.

* `FineMotion`: every step is one pixel to and fro, along rows or along columns; which? Every
  frame is a random pattern at a random place, so that frames one by one say nothing.
* `RelativeMotion`: a disc with a texture of its own moves over a textured ground, each left or
  right; do they go the same way? Either motion alone says nothing.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from videoclf.generated.ladder.pictures import as_bytes, outline_mask
from videoclf.generated.ladder.task import LadderTask


def blobs(
    generator: np.random.Generator, size_pixels: int, scale_pixels: float
) -> NDArray[np.float32]:
    """Draw a smooth random texture of the torus: float32 (H, W) in [0, 255].

    White noise, of which a Gaussian of `scale_pixels` is kept, stretched to full contrast.
    """
    frequencies = np.fft.fftfreq(size_pixels)
    squared = frequencies[:, None] ** 2 + frequencies[None, :] ** 2
    kernel = np.exp(-2 * (np.pi * scale_pixels) ** 2 * squared)
    white = np.fft.fft2(generator.normal(size=(size_pixels, size_pixels)))
    noise = np.fft.ifft2(white * kernel).real
    texture: NDArray[np.float32] = (127.5 + 75 * noise / noise.std()).clip(0, 255)
    return texture.astype(np.float32)


class FineMotion(LadderTask):
    """Steps of one pixel, along rows or along columns."""

    def __init__(self) -> None:
        super().__init__(
            classes=("horizontal", "vertical"), num_frames=16, size_pixels=32, lossless=True
        )

    def draw(
        self,
        label: int,
        generator: np.random.Generator,
        *,
        subset: str,  # noqa: ARG002
    ) -> NDArray[np.uint8]:
        """See `LadderTask.draw`."""
        texture = blobs(generator, self.size_pixels, 1.5)
        steps = generator.choice((-1, 1), self.num_frames)
        frames = [np.roll(texture, int(place), axis=1 - label) for place in np.cumsum(steps)]
        return as_bytes(np.repeat(np.stack(frames)[..., None], 3, axis=3))


class RelativeMotion(LadderTask):
    """A disc and its ground, each moving left or right: the same way or not."""

    def __init__(self) -> None:
        super().__init__(classes=("along", "against"), num_frames=16, size_pixels=32)

    def draw(
        self,
        label: int,
        generator: np.random.Generator,
        *,
        subset: str,  # noqa: ARG002
    ) -> NDArray[np.uint8]:
        """See `LadderTask.draw`."""
        size = self.size_pixels
        ground, own = blobs(generator, size, 1.5), blobs(generator, size, 1.5)
        way = int(generator.choice((-1, 1)))  # of the ground
        disc_way = way if label == 0 else -way
        speed = int(generator.integers(1, 3))
        start, y = generator.integers(0, size, 2)
        mask = np.roll(outline_mask("disc", size, 9.0), int(y), axis=0)
        frames = []
        for time in range(self.num_frames):
            x = int(start) + disc_way * speed * time
            share = np.roll(mask, x, axis=1)
            behind = np.roll(ground, way * speed * time, axis=1)
            frames.append(behind + share * (np.roll(own, x, axis=1) - behind))
        return as_bytes(np.repeat(np.stack(frames)[..., None], 3, axis=3))
