"""The versions of a clip that tell motion from appearance.

    plain          1 2 3 4 5 6 7 8
    reversed       8 7 6 5 4 3 2 1     the other direction of time
    shuffled       5 1 8 3 7 2 4 6     the same frames, in no order
    first frame    1 1 1 1 1 1 1 1     frozen
    middle frame   5 5 5 5 5 5 5 5     frozen
    single frames  1 1 1 ... 8 8 8     each frame frozen in turn, the answers averaged

Sources: Huang et al. 2018, "What Makes a Video a Video: Analyzing Temporal Information in Video
Understanding Models and Datasets" (clips without motion); Sevilla-Lara et al. 2021, "Only Time Can
Tell: Discovering Temporal Data for Temporal Modeling" (shuffled frames).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch

#: Frames of a clip that `single frames` looks at, evenly spread, where it has more.
MOST_SINGLE_FRAMES = 8


def plain(clips: torch.Tensor, seeds: Sequence[tuple[int, ...]]) -> list[torch.Tensor]:  # noqa: ARG001
    """Leave clips (N, C, T, H, W) as they are."""
    return [clips]


def backwards(clips: torch.Tensor, seeds: Sequence[tuple[int, ...]]) -> list[torch.Tensor]:  # noqa: ARG001
    """Reverse time."""
    return [clips.flip(2)]


def shuffled(clips: torch.Tensor, seeds: Sequence[tuple[int, ...]]) -> list[torch.Tensor]:
    """Put the frames of each clip into a random order, which its seed decides."""
    orders = [shuffled_order(clips.shape[2], seed) for seed in seeds]
    mixed = [clip[:, order] for clip, order in zip(clips, orders, strict=True)]
    return [torch.stack(mixed)]


def first_frame(clips: torch.Tensor, seeds: Sequence[tuple[int, ...]]) -> list[torch.Tensor]:  # noqa: ARG001
    """Repeat the first frame."""
    return [_frozen(clips, 0)]


def middle_frame(clips: torch.Tensor, seeds: Sequence[tuple[int, ...]]) -> list[torch.Tensor]:  # noqa: ARG001
    """Repeat the middle frame, number T // 2."""
    return [_frozen(clips, clips.shape[2] // 2)]


def single_frames(clips: torch.Tensor, seeds: Sequence[tuple[int, ...]]) -> list[torch.Tensor]:  # noqa: ARG001
    """Repeat each frame in turn, or `MOST_SINGLE_FRAMES` of them: as many versions."""
    length = clips.shape[2]
    count = min(length, MOST_SINGLE_FRAMES)
    return [_frozen(clips, int(at)) for at in np.linspace(0, length - 1, count).round()]


#: By name, in the order of showing. Each takes clips, float (N, C, T, H, W), and a seed a clip, and
#: gives clips of the same shape whose predictions are averaged.
VERSIONS: dict[str, Callable[..., list[torch.Tensor]]] = {
    "plain": plain,
    "reversed": backwards,
    "shuffled": shuffled,
    "first frame": first_frame,
    "middle frame": middle_frame,
    "single frames": single_frames,
}


def shuffled_order(num_frames: int, seed: tuple[int, ...]) -> np.ndarray:
    """Return a random order, int64 (T,), that is neither the plain nor the reversed one."""
    generator = np.random.default_rng(seed)
    order = generator.permutation(num_frames)
    # of 3 frames or more there is such an order; 2 frames can only be reversed
    while num_frames > 2 and (np.all(np.diff(order) == 1) or np.all(np.diff(order) == -1)):
        order = generator.permutation(num_frames)
    return order if num_frames > 2 else np.arange(num_frames)[::-1].copy()


def _frozen(clips: torch.Tensor, frame: int) -> torch.Tensor:
    return clips[:, :, frame : frame + 1].expand_as(clips)
