"""Frames above their optical flow in colours, for the filmstrips of runs that see flow."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from videoclf.data.flow_source import FlowSource
from videoclf.data.footage import open_footage
from videoclf.flow.colours import flow_colours
from videoclf.flow.quantisation import Quantisation
from videoclf.readers import reader_class
from videoclf.readers.span import frame_span
from videoclf.reports.filmstrip import FrameReader

#: Share of the pixels shown that are slower than the full colour.
_FULL_SHARE = 0.99
_LEAST_FULL_PIXELS = 0.5  # so that noise at rest stays pale


def frames_with_flow(root: Path, flow: FlowSource, reader: str) -> FrameReader:
    """Return a function that reads frames evenly spaced, each with its flow below it.

    Args:
        root: of the videos.
        flow: where their flow comes from.
        reader: backend by name.
    """

    def read(
        file: Path, start: float | None, end: float | None, num_frames: int, short_side: int
    ) -> np.ndarray:
        path = file.relative_to(root).as_posix()
        with open_footage(
            root,
            path,
            modalities=("rgb", "flow"),
            open_video=reader_class(reader),
            flow=flow,
        ) as footage:
            first, last = frame_span(path, footage.times, start, end)
            indices = np.linspace(first, last - 1, num_frames).round().astype(np.int64)
            distinct, rows = np.unique(indices, return_inverse=True)
            read_frames = footage.frames(distinct, short_side=short_side)
        fields = Quantisation(flow.bound_pixels).fields(read_frames["flow"])  # (M, H, W, 2)
        speeds = np.linalg.norm(fields, axis=-1)
        full_pixels = max(_LEAST_FULL_PIXELS, float(np.quantile(speeds, _FULL_SHARE)))
        coloured = flow_colours(fields, full_pixels)  # (M, H, W, 3)
        return np.concatenate([read_frames["rgb"], coloured], axis=1)[rows]  # (N, 2 H, W, 3)

    return read
