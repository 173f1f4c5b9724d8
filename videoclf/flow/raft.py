"""RAFT: a recurrent network that refines the flow by looking up all pairs of features.

Teed, Deng, "RAFT: Recurrent All-Pairs Field Transforms for Optical Flow", ECCV 2020; torchvision's
implementation and weights. Pairs go through the device in batches.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models import optical_flow

from videoclf.errors import CheckpointError
from videoclf.flow import check_frames
from videoclf.flow.pairwise import check_at_least

#: torchvision's weights for real videos, by size.
_WEIGHTS = {
    "small": optical_flow.Raft_Small_Weights.C_T_V2,
    "large": optical_flow.Raft_Large_Weights.C_T_SKHT_V2,
}
_BUILDERS = {"small": optical_flow.raft_small, "large": optical_flow.raft_large}
_NOT_WEIGHTS = (RuntimeError, OSError, EOFError, ValueError, TypeError, KeyError, UnpicklingError)
_MULTIPLE = 8  # features stand at an eighth of the size
_SMALLEST_PIXELS = 128  # below it the pyramid of correlations has an empty level


@dataclass(frozen=True, kw_only=True)
class Raft:
    """RAFT; see `videoclf.flow.FlowEstimator`.

    Args:
        size: `small` (1.0 M parameters) or `large` (5.3 M).
        weights: file with torchvision's state dict; None takes it from torchvision's usual cache.
            Nothing is fetched from the network.
        updates: recurrent refinements; 12 in the paper's fast setting.
        batch_pairs: pairs of frames that go through the network at once.
        device: as torch names it; `auto` takes a GPU where there is one.

    Raises:
        CheckpointError: the weights are not there; the text says what to fetch, and where to.
        ValueError: a value out of range.
    """

    size: str = "large"
    weights: str | None = None
    updates: int = 12
    batch_pairs: int = 8
    device: str = "auto"

    def __post_init__(self) -> None:
        if self.size not in _BUILDERS:
            raise ValueError(f"raft: size {self.size!r} is none of {', '.join(_BUILDERS)}")
        check_at_least("raft", updates=(self.updates, 1), batch_pairs=(self.batch_pairs, 1))
        if not self._file().is_file():
            raise CheckpointError(
                f"the weights of RAFT are not at {self._file()}; fetch {_WEIGHTS[self.size].url} "
                "and put it there, or name another file by weights"
            )

    def estimate(self, frames: np.ndarray, *, backward: bool = False) -> np.ndarray:
        """Estimate the flow between neighbouring frames; a smaller side than 128 pixels is padded.

        Args:
            frames: uint8 (T, H, W, 3), RGB, T at least 2.
            backward: from frame t+1 to frame t, on the pixels of frame t+1.

        Returns:
            float32 (T-1, H, W, 2): x to the right and y downwards, in pixels of these frames.

        Raises:
            CheckpointError: the weights are damaged or of another network.
            ValueError: the frames have another shape or type.
        """
        check_frames(frames)
        frames = np.ascontiguousarray(frames)  # a reversed view is none of torch's
        height, width = frames.shape[1:3]
        fields = np.empty((len(frames) - 1, height, width, 2), np.float32)  # (T-1, H, W, 2)
        for start in range(0, len(fields), self.batch_pairs):
            stop = min(start + self.batch_pairs, len(fields))
            images = _padded(torch.from_numpy(frames[start : stop + 1]).to(self._device))
            pair = (images[1:], images[:-1]) if backward else (images[:-1], images[1:])
            with torch.inference_mode():
                flow = self._network(*pair, num_flow_updates=self.updates)[-1]  # (N, 2, H', W')
            top, left = _margins(height)[0], _margins(width)[0]
            inner = flow[:, :, top : top + height, left : left + width]  # (N, 2, H, W)
            fields[start:stop] = inner.permute(0, 2, 3, 1).cpu().numpy()  # (N, H, W, 2)
        return fields

    def _file(self) -> Path:
        if self.weights is not None:
            return Path(self.weights)
        name = str(_WEIGHTS[self.size].url).rpartition("/")[2]
        return Path(torch.hub.get_dir()) / "checkpoints" / name

    @cached_property
    def _device(self) -> torch.device:
        automatic = "cuda" if torch.cuda.is_available() else "cpu"
        return torch.device(automatic if self.device == "auto" else self.device)

    @cached_property
    def _network(self) -> nn.Module:
        """The network on the device; a process loads it when it estimates for the first time."""
        network: nn.Module = _BUILDERS[self.size](weights=None, progress=False)
        try:
            network.load_state_dict(torch.load(self._file(), "cpu", weights_only=True))
        except _NOT_WEIGHTS as error:
            first_line = str(error).partition("\n")[0]
            raise CheckpointError(
                f"{self._file()} holds no weights of torchvision's raft_{self.size}: {first_line}"
            ) from error
        return network.eval().to(self._device)

    def __getstate__(self) -> dict[str, Any]:
        """Travel to another process without the network, which is loaded there."""
        return {key: value for key, value in vars(self).items() if not key.startswith("_")}


def _padded(frames: Tensor) -> Tensor:
    """Scale uint8 (N, H, W, 3) to [-1, 1] and repeat the border until the network takes it."""
    height, width = frames.shape[1:3]
    images = frames.permute(0, 3, 1, 2).float() / 127.5 - 1  # (N, 3, H, W)
    margins = (*_margins(width), *_margins(height))
    return F.pad(images, margins, mode="replicate")  # (N, 3, H', W')


def _margins(pixels: int) -> tuple[int, int]:
    """Return the pixels to add before and behind a side: 240 -> (0, 0), 30 -> (49, 49)."""
    wanted = max(_SMALLEST_PIXELS, -(-pixels // _MULTIPLE) * _MULTIPLE)
    return (wanted - pixels) // 2, wanted - pixels - (wanted - pixels) // 2
