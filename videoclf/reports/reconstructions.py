"""`reconstructions.npz`: clips as they are, as masked pretraining hides them, and as it finds them.

The report draws them as filmstrips, one below the other.
"""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from videoclf.cache import atomic_write
from videoclf.errors import DataError
from videoclf.reports.filmstrip import data_address, strip_jpeg

FILE = "reconstructions.npz"
ROWS = ("original", "masked", "reconstructed")
MOST_FRAMES, SHORT_SIDE = 8, 112


@dataclass(frozen=True)
class Reconstruction:
    """One clip in three states.

    Args:
        path: of the video, relative to the data root.
        frames: uint8 (3, T, H, W, 3), RGB: original, masked, reconstructed.
        loss: of the clip.
        num_hidden: tubelets that were hidden.
        num_tubelets: of all of them.
        normalised: only the pattern of a hidden tubelet was predicted, and its mean and contrast
            are the original's.
    """

    path: str
    frames: np.ndarray
    loss: float
    num_hidden: int
    num_tubelets: int
    normalised: bool


@dataclass(frozen=True)
class ReconstructionStrips:
    """The same for the page: name and picture of each row."""

    path: str
    loss: float
    rows: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Reconstructions:
    """All of a page, and how much was hidden."""

    shown: tuple[ReconstructionStrips, ...]
    num_hidden: int
    num_tubelets: int
    normalised: bool


def write_reconstructions(folder: Path, found: Sequence[Reconstruction]) -> None:
    """Write them into a run folder, whole or not at all."""
    with atomic_write(folder / FILE) as temporary, temporary.open("wb") as file:
        np.savez_compressed(
            file,
            paths=np.array([each.path for each in found], dtype=np.str_),
            frames=np.stack([each.frames for each in found]),
            losses=np.array([each.loss for each in found]),
            hidden=np.array([(each.num_hidden, each.num_tubelets) for each in found]),
            normalised=np.array([each.normalised for each in found]),
        )


def read_reconstructions(folder: Path) -> Reconstructions | None:
    """Read what a run folder has, as filmstrips; None where there is none.

    Raises:
        DataError: the file is damaged.
    """
    path = folder / FILE
    if not path.is_file():
        return None
    try:
        with np.load(path) as stored:
            paths, frames, losses, hidden, normalised = (
                stored[name] for name in ("paths", "frames", "losses", "hidden", "normalised")
            )
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise DataError(f"cannot read {path}: {error}; evaluate the run again") from error
    shown = tuple(
        ReconstructionStrips(
            path=str(name),
            loss=float(loss),
            rows=tuple(
                (row, data_address(strip_jpeg(small(clip)), "image/jpeg"))
                for row, clip in zip(ROWS, clips, strict=True)
            ),
        )
        for name, clips, loss in zip(paths, frames, losses, strict=True)
    )
    return Reconstructions(
        shown,
        num_hidden=int(hidden[0, 0]),
        num_tubelets=int(hidden[0, 1]),
        normalised=bool(normalised[0]),
    )


def small(clip: np.ndarray) -> np.ndarray:
    """Return at most 8 frames, evenly spaced, of 112 pixels, uint8 (N, H, W, 3).

    Smaller ones are enlarged as they are, without smoothing: their pixels are what is predicted.
    """
    chosen = np.linspace(0, len(clip) - 1, min(len(clip), MOST_FRAMES)).round().astype(int)
    frames = clip[chosen]  # (N, H, W, 3)
    height, width = frames.shape[1:3]
    scale = SHORT_SIDE / min(height, width)
    size = (round(width * scale), round(height * scale))
    how = Image.Resampling.NEAREST if scale > 1 else Image.Resampling.BICUBIC
    return np.stack([np.asarray(Image.fromarray(frame).resize(size, how)) for frame in frames])
