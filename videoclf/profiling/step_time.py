"""How long a training step takes on this device: forward, backward, optimiser."""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import nn

from videoclf.errors import ConfigError
from videoclf.profiling.costs import MakeOptimizer, training_loss


@dataclass(frozen=True)
class StepTime:
    """Medians of a few training steps after one that is not counted.

    Args:
        device: where it was measured.
        num_clips: of a step.
        num_steps: that were measured.
        seconds: of a step.
        forward_seconds: of these.
        backward_seconds: of these.
        optimizer_seconds: of these.
        peak_bytes: the most that the device's allocator held; None on a CPU.
    """

    device: str
    num_clips: int
    num_steps: int
    seconds: float
    forward_seconds: float
    backward_seconds: float
    optimizer_seconds: float
    peak_bytes: int | None


def time_steps(
    model: nn.Module,
    shapes: Mapping[str, tuple[int, ...]],
    make_optimizer: MakeOptimizer,
    *,
    num_clips: int,
    device: str,
    num_steps: int = 5,
    most_seconds: float = 60.0,
) -> StepTime:
    """Train a model on noise for a few steps in 32 bits and time them.

    Args:
        model: is moved to the device and trained.
        shapes: of the inputs by modality, (C, T, H, W).
        make_optimizer: factory of the optimiser.
        num_clips: of a step.
        device: such as cpu or cuda.
        num_steps: to measure.
        most_seconds: no further step is begun after so long.

    Raises:
        ConfigError: the device's memory is too small.
    """
    began = time.perf_counter()
    on_gpu = device.startswith("cuda")
    try:
        model.to(device).train()
        optimizer, _ = make_optimizer(model, num_steps + 1)
        # as the loader gives clips: (B, T, H, W, C), permuted
        inputs = {
            name: torch.randn(num_clips, *shape[1:], shape[0], device=device).permute(0, 4, 1, 2, 3)
            for name, shape in shapes.items()
        }
        times = []
        for step in range(num_steps + 1):
            if step > 1 and time.perf_counter() - began > most_seconds:
                break
            times.append(_step(model, inputs, optimizer, on_gpu))
    except torch.OutOfMemoryError as error:
        raise ConfigError(
            f"a step of {num_clips} clips does not fit into the memory of {device}; "
            "lower --clips, or leave the time out by --no-time"
        ) from error
    counted = times[1:]
    forward, backward, update = (
        statistics.median(parts[place] for parts in counted) for place in range(3)
    )
    return StepTime(
        device=torch.cuda.get_device_name(device) if on_gpu else "CPU",
        num_clips=num_clips,
        num_steps=len(counted),
        seconds=statistics.median(sum(parts) for parts in counted),
        forward_seconds=forward,
        backward_seconds=backward,
        optimizer_seconds=update,
        peak_bytes=torch.cuda.max_memory_allocated(device) if on_gpu else None,
    )


def _step(
    model: nn.Module,
    inputs: Mapping[str, torch.Tensor],
    optimizer: torch.optim.Optimizer,
    on_gpu: bool,
) -> tuple[float, float, float]:
    def now() -> float:
        if on_gpu:
            torch.cuda.synchronize()
        return time.perf_counter()

    begin = now()
    loss = training_loss(model(**inputs))
    forward = now()
    loss.backward()
    backward = now()
    optimizer.step()
    optimizer.zero_grad()
    return forward - begin, backward - forward, now() - backward
