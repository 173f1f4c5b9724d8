"""Pictures that move as a known affine map says, so that their true flow is known everywhere."""

from __future__ import annotations

import cv2
import numpy as np


def texture(height=160, width=224, seed=0):
    """A picture with structure of all sizes, as nature's have; uint8 (H, W, 3)."""
    generator = np.random.default_rng(seed)
    picture = np.zeros((height, width, 3), np.float32)
    for size in (2, 4, 8, 16, 32):
        coarse = generator.normal(size=(height // size + 2, width // size + 2, 3))
        layer = cv2.resize(
            coarse.astype(np.float32), (width, height), interpolation=cv2.INTER_CUBIC
        )
        picture += layer * size**0.5
    picture -= picture.min()
    return (picture * (255 / picture.max())).astype(np.uint8)


def translation(x, y):
    """The map that moves everything by x and y pixels, float64 (2, 3)."""
    return np.array([[1.0, 0, x], [0, 1.0, y]])


def rotation(degrees, height, width):
    """The map that turns around the centre."""
    return cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), degrees, 1.0)


def zoom(factor, height, width):
    """The map that enlarges around the centre."""
    return cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), 0.0, factor)


def moved(picture, affine):
    """The picture after the motion, uint8 (H, W, 3)."""
    height, width = picture.shape[:2]
    return cv2.warpAffine(
        picture, affine, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT
    )


def true_flow(affine, height, width):
    """Where each pixel goes, less where it is: float64 (H, W, 2)."""
    y, x = np.mgrid[:height, :width].astype(np.float64)
    points = np.stack([x, y, np.ones_like(x)], axis=-1)
    return points @ affine.T - np.stack([x, y], axis=-1)


def end_point_error(field, truth, margin):
    """Mean distance in pixels, without a margin into which unseen pixels come."""
    inner = (slice(margin, -margin), slice(margin, -margin))
    return float(np.linalg.norm(field - truth, axis=-1)[inner].mean())
