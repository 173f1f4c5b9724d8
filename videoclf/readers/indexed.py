"""What the backends for video files share: the checks, the packet index, and the gathering."""

from __future__ import annotations

from abc import ABC, abstractmethod
from fractions import Fraction
from types import TracebackType
from typing import TYPE_CHECKING

import numpy as np

from videoclf.readers.demux import OpenedVideo, open_video
from videoclf.readers.geometry import checked_indices, scaled_size
from videoclf.readers.indexing import build_index
from videoclf.readers.packet_index import PacketIndex, load_cached, store_cached
from videoclf.readers.safety import Limits, container_kind

if TYPE_CHECKING:
    from typing_extensions import Self


class IndexedReader(ABC):
    """One opened video file with its packet index; see `videoclf.readers.Reader`.

    A backend only says how distinct frames are decoded (`_decode`).

    Args:
        path: a video file.
        index: its packet index, where it is known; made from the file otherwise.
        cache: look up and keep the index in the user's cache folder.
        limits: what the file may demand; None for the defaults.

    Raises:
        UnreadableVideoError: the file is refused or damaged; the reason says how.
    """

    def __init__(
        self,
        path: str,
        index: PacketIndex | None = None,
        *,
        cache: bool = True,
        limits: Limits | None = None,
    ) -> None:
        self.path = str(path)
        self._limits = limits or Limits()
        self._kind = container_kind(self.path)
        self._opened: OpenedVideo | None = None
        self.index = index or (load_cached(self.path) if cache else None) or self._build(cache)
        self.num_frames = self.index.num_frames
        self.times = self.index.times()
        self.fps = _average_rate(self.index)
        sides = (self.index.height, self.index.width)
        self.height, self.width = sides[::-1] if self.index.orientation.transpose else sides
        # An index from elsewhere was made under limits of its own.
        self._limits.check_size(self.path, self.height, self.width)
        self._limits.check_frames(self.path, self.num_frames)

    def frames(self, indices: np.ndarray, *, short_side: int | None = None) -> np.ndarray:
        """Decode frames in one pass, each distinct one once.

        Args:
            indices: int64 (N,), in any order, repeats allowed.
            short_side: pixels that the smaller of height and width is scaled to, aspect kept,
                antialiased; None keeps the size.

        Returns:
            uint8 (N, H, W, 3), RGB, in the order of `indices`.

        Raises:
            IndexError: an index outside [0, num_frames).
            UnreadableVideoError: the file ends early or its data are damaged.
        """
        wanted = checked_indices(indices, self.num_frames)
        height, width = scaled_size(self.height, self.width, short_side)
        if len(wanted) == 0:
            return np.empty((0, height, width, 3), np.uint8)
        distinct, places = np.unique(wanted, return_inverse=True)
        clip = self._decode(distinct, height, width)  # (distinct, H, W, 3)
        return clip if np.array_equal(wanted, distinct) else clip[places]

    def close(self) -> None:
        """Release the file and the decoder; may be called twice."""
        if self._opened is not None:
            self._opened.container.close()
            self._opened = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @abstractmethod
    def _decode(self, distinct: np.ndarray, height: int, width: int) -> np.ndarray:
        """Decode ascending distinct frames to uint8 (N, height, width, 3)."""

    def _build(self, cache: bool) -> PacketIndex:
        """Make the index; the file stays open, since it is read next."""
        self._opened = open_video(self.path, self._kind, self._limits)
        try:
            index = build_index(self._opened, self._limits)
        except BaseException:
            self.close()
            raise
        if cache:
            store_cached(self.path, index)
        return index


def _average_rate(index: PacketIndex) -> float:
    """Return frames per second over the presentation times; one frame has the header's rate."""
    span = int(index.timestamps[-1] - index.timestamps[0]) * Fraction(*index.time_base)
    return float((index.num_frames - 1) / span) if span else index.rate
