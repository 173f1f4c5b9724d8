"""The frames of a video that passes by, cropped, as long as some window still needs them.

The file is decoded once, forward, a chunk of frames at a time; what no later window needs is
forgotten. So memory depends on the window, not on the video.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import numpy as np

from videoclf.data.footage import Footage
from videoclf.evaluation.views import Views
from videoclf.transforms.clip import ClipTransform

#: What a chunk of decoded frames may take, before they are cropped.
_CHUNK_BYTES = 32 * 2**20
_MOST_FRAMES = 256


class FrameRing:
    """Crops by number of frame; asked for in ascending windows.

    Args:
        footage: of the video.
        transform: resize and crops.
        views: M crops of each frame, and their size.
        windows: int64 (clips, T) each, the frames of each window, in order of time: no frame of a
            window lies before the first one of the window before it. Read a little ahead.
    """

    def __init__(
        self,
        footage: Footage,
        *,
        transform: ClipTransform,
        views: Views,
        windows: Iterable[np.ndarray],
    ) -> None:
        self._footage = footage
        self._transform = transform
        self._num_crops = views.num_crops
        self._short_side, self._edge = views.sizes(transform.resize_pixels, transform.crop_pixels)
        self._coming = iter(windows)
        self._ahead: list[np.ndarray] = []
        self._kept: dict[int, Mapping[str, np.ndarray]] = {}
        self._decoded_up_to = 0  # frames before this one are decoded, or not needed
        self._chunk_frames = 16  # until the size of a frame is known
        self.most_kept = 0

    def __iter__(self) -> Iterator[dict[str, np.ndarray]]:
        """Yield the views of each window: uint8 (clips * crops, T, H, W, C) by modality."""
        while True:
            self._look_ahead()
            if not self._ahead:
                return
            indices = self._ahead[0]
            while self._decoded_up_to <= int(indices.max()):
                self._decode_chunk()
                self._look_ahead()
            yield self._views(indices)
            self._ahead.pop(0)
            self._look_ahead()
            first = min((int(each.min()) for each in self._ahead[:1]), default=self._decoded_up_to)
            for number in [number for number in self._kept if number < first]:
                del self._kept[number]

    def _look_ahead(self) -> None:
        """Fetch all windows that begin within the next chunk, and one more."""
        end = self._decoded_up_to + self._chunk_frames
        while not self._ahead or int(self._ahead[-1].min()) < end:
            window = next(self._coming, None)
            if window is None:
                return
            self._ahead.append(window)

    def _decode_chunk(self) -> None:
        begin = max(self._decoded_up_to, int(self._ahead[0].min()))
        self._decoded_up_to = begin
        self._look_ahead()
        end = begin + self._chunk_frames
        wanted = np.unique(np.concatenate([each.ravel() for each in self._ahead]))
        wanted = wanted[(wanted >= begin) & (wanted < end)]
        self._decoded_up_to = end
        if not len(wanted):
            return
        decoded = self._footage.frames(wanted, short_side=self._short_side)
        crops = {
            modality: np.stack(self._crops(frames, modality))
            for modality, frames in decoded.items()
        }  # (M, N, h, w, C) each
        for place, number in enumerate(wanted.tolist()):
            # copies: a view would keep the whole chunk in memory
            self._kept[number] = {name: each[:, place].copy() for name, each in crops.items()}
        self.most_kept = max(self.most_kept, len(self._kept))
        frame_bytes = sum(frames[0].nbytes for frames in decoded.values())
        self._chunk_frames = max(1, min(_MOST_FRAMES, _CHUNK_BYTES // frame_bytes))

    def _crops(self, frames: np.ndarray, modality: str) -> list[np.ndarray]:
        return self._transform.view_crops(frames, self._num_crops, modality, crop_pixels=self._edge)

    def _views(self, indices: np.ndarray) -> dict[str, np.ndarray]:
        """Put the views of a window together, all crops of clip 0 first."""
        modalities = self._kept[int(indices.flat[0])]
        clips = {
            modality: np.stack(
                [
                    np.stack([self._kept[number][modality] for number in clip], axis=1)
                    for clip in indices.tolist()
                ]
            )
            for modality in modalities
        }  # (clips, M, T, H, W, C)
        return {modality: views.reshape(-1, *views.shape[2:]) for modality, views in clips.items()}
