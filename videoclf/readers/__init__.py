"""Readers: one video file -> exact frames by index. One file per backend.

A reader is opened inside the loader worker that uses it (backends do not survive a fork) and is
closed at once. `data.reader` names the backend; `pyav` is exact on every container tried, the
others are right or refuse by name.
"""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Callable
from types import TracebackType
from typing import Protocol

import numpy as np

from videoclf.errors import ConfigError

READERS = {
    "pyav": "videoclf.readers.pyav.PyavReader",
    "decord": "videoclf.readers.decord.DecordReader",
    "torchcodec": "videoclf.readers.torchcodec.TorchcodecReader",
    "decoded": "videoclf.readers.decoded.DecodedReader",
    "frames": "videoclf.readers.frames.FramesReader",
}


class Reader(Protocol):
    """One opened video. Frames are counted from 0 in the order of presentation.

    Attributes:
        num_frames: how many frames `frames` can return.
        fps: average frames per second, over the presentation times.
        times: float64 (num_frames,), seconds of each frame from the first frame's, ascending.
        height: pixels, as shown (rotation metadata applied).
        width: pixels, as shown.
    """

    num_frames: int
    fps: float
    times: np.ndarray
    height: int
    width: int

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
        ...

    def close(self) -> None:
        """Release the file and the decoder; may be called twice."""
        ...

    def __enter__(self) -> Reader: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...


def check_reader(name: str) -> None:
    """Refuse a name that is no backend, without importing any.

    Raises:
        ValueError: no such backend.
    """
    if name not in READERS:
        nearest = difflib.get_close_matches(name, READERS, n=1)
        hint = f"did you mean {nearest[0]!r}? " if nearest else ""
        raise ValueError(f"unknown reader {name!r}: {hint}choose one of {', '.join(READERS)}")


def reader_class(name: str) -> Callable[[str], Reader]:
    """Return the class of a backend by its name; it is called with a path.

    Raises:
        ConfigError: no such backend, or its package is not installed.
    """
    check_reader(name)
    module, _, attribute = READERS[name].rpartition(".")
    try:
        cls: Callable[[str], Reader] = getattr(importlib.import_module(module), attribute)
    except (ImportError, RuntimeError) as error:  # a library that does not load is a RuntimeError
        raise ConfigError(
            f"data.reader={name} needs a package that does not import here ({error}); "
            "install it or use data.reader=pyav"
        ) from error
    return cls
