"""What the data sets that we draw ourselves share: balanced classes, a folder, a manifest.

A subclass names its classes and draws the clip of a path; the rest is here. Clip number n of a
subset has the same random numbers in every class, so that classes differ in nothing else.
"""

from __future__ import annotations

import abc
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from videoclf.cache import cache_folder
from videoclf.data.manifest import Manifest
from videoclf.data.presence import check_files
from videoclf.data.source import VideoData
from videoclf.generated.draw import draw_missing
from videoclf.types import SUBSETS

FRAMES_PER_SECOND = 25


@dataclass(frozen=True, kw_only=True)
class DrawnVideos(VideoData):
    """Square clips, drawn and encoded on first use.

    Args:
        root: folder of the drawn videos; None is one of the cache folder, named by what it holds.
        num_train: training clips; a multiple of the number of classes, for exact balance.
        num_val: validation clips, likewise.
        num_test: test clips, likewise.
        num_frames: frames of a clip.
        size_pixels: side of the square picture, even.
        seed: of everything drawn; other seeds share no clip.
        reader: see `VideoData`, as are the others.
    """

    num_train: int
    num_val: int
    num_test: int
    num_frames: int
    size_pixels: int
    seed: int

    #: As in `data=<name>`.
    name: ClassVar[str]
    #: Goes into the folder's name; to be raised by whatever changes a pixel.
    version: ClassVar[int]

    @property
    @abc.abstractmethod
    def classes(self) -> tuple[str, ...]:
        """The names of the classes, in the order of their ids."""

    @property
    def lossless(self) -> bool:
        """Each pixel is kept as drawn; see `videoclf.generated.encode.encode_frames`."""
        return False

    def __post_init__(self) -> None:
        super().__post_init__()
        for subset, count in self._counts().items():
            share = len(self.classes)
            if count < share or count % share:
                below = max(1, count // share) * share
                raise ValueError(
                    f"data.num_{subset}={count} cannot be shared evenly by {share} classes; "
                    f"give {below} or {below + share}"
                )
        if self.num_frames < 2:
            raise ValueError(f"data.num_frames={self.num_frames} shows no motion; give 2 or more")
        if self.size_pixels < 16 or self.size_pixels % 2:
            raise ValueError(
                f"data.size_pixels={self.size_pixels} must be even and at least 16; "
                f"give {max(16, self.size_pixels + self.size_pixels % 2)}"
            )
        if self.seed < 0:
            raise ValueError(f"data.seed={self.seed} is negative; give 0 or more")
        if not self.directional:
            raise ValueError(
                "data.directional=false would mirror clips, and a mirrored clip that moves left "
                "moves right; give true"
            )

    def folder(self) -> Path:
        """Return the folder of the videos, which `manifest` makes."""
        if self.root is not None:
            return Path(self.root)
        digest = hashlib.sha256(json.dumps(self._parameters(), sort_keys=True).encode())
        return cache_folder() / "generated" / f"{self.name}-{digest.hexdigest()[:12]}"

    def manifest(self) -> Manifest:
        """Return all records, after drawing those that are missing.

        Raises:
            DataError: the root holds something else, or clips of other parameters.
            StorageError: the disk is full or the folder cannot be written.
        """
        # clip 0 of every class, then clip 1: the most different files first
        rows = [
            (f"{subset}/{name}/{number:05d}.mp4", label, subset)
            for subset, count in self._counts().items()
            for number in range(count // len(self.classes))
            for label, name in enumerate(self.classes)
        ]
        paths, labels, subsets = zip(*rows, strict=True)
        draw_missing(
            self.folder(),
            paths,
            self.draw,
            parameters=self._parameters(),
            frames_per_second=FRAMES_PER_SECOND,
            name=self.name,
            lossless=self.lossless,
        )
        manifest = Manifest.from_columns(
            class_names=self.classes,
            paths=paths,
            labels=[[label] for label in labels],
            subsets=subsets,
        )
        check_files(manifest, self.folder())
        return manifest

    @abc.abstractmethod
    def draw(self, path: str) -> NDArray[np.uint8]:
        """Draw the clip of a path such as `train/left/00012.mp4`.

        Returns:
            uint8 (T, H, W, 3), RGB.
        """

    def clip_of(self, path: str) -> tuple[str, tuple[int, int, int]]:
        """Return the class of a path and what all random numbers of its clip depend on."""
        subset, name, file = PurePosixPath(path).parts
        return name, (self.seed, SUBSETS.index(subset), int(file.partition(".")[0]))

    def _counts(self) -> dict[str, int]:
        return {"train": self.num_train, "val": self.num_val, "test": self.num_test}

    def _parameters(self) -> dict[str, object]:
        """Return whatever the videos depend on."""
        return {
            "generator": self.name,
            "version": self.version,
            "num_train": self.num_train,
            "num_val": self.num_val,
            "num_test": self.num_test,
            "num_frames": self.num_frames,
            "size_pixels": self.size_pixels,
            "seed": self.seed,
        }
