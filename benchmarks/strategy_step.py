"""Measure a training step alone: parameters, MACs, CPU seconds and peak memory, to a JSON file.

    python benchmarks/strategy_step.py step.json model=slow_fusion data=moving_shapes

The overrides are those of train.py. The step is forward, backward, gradient clipping and the
optimiser on one batch of noise in the recipe's shape, one thread, in a process of its own. CPU
time, which others on the machine change little, is the median after a warm-up. Peak memory is what
the process holds at most, beyond what it held before the first step: activations, gradients and
the optimiser's state, not the weights and not the batch.
"""

from __future__ import annotations

import json
import resource
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from videoclf.assembly import lay_channels_last
from videoclf.build import build
from videoclf.cli.composing import build_data, compose_train
from videoclf.config import plain

WARM_UP, MEASURED = 2, 3  # steps


def measure(overrides: Sequence[str]) -> dict[str, float]:
    """Return the facts of one strategy's training step.

    `macs` are the multiply-accumulates of one clip's forward pass.
    """
    torch.set_num_threads(1)
    config = compose_train(overrides)
    manifest = build_data(config).manifest()
    config.data.num_classes = len(manifest.class_names)
    config.data.class_names = list(manifest.class_names)
    settings = plain(config)
    data, edge = settings["data"], settings["transform"]["crop_pixels"]
    num_frames = settings["sampler"]["num_frames"]
    num_clips = data["batch_size"] * data["clips_per_video"]
    clips = torch.randn(num_clips, num_frames, edge, edge, 3).permute(0, 4, 1, 2, 3)
    torch.manual_seed(settings["seed"])
    model = build(settings["model"], name="model")
    lay_channels_last(model)
    before = peak_bytes()
    seconds = time_steps(model, settings, clips, data["num_classes"])
    peak = peak_bytes() - before
    return {
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "macs": count_macs(model, clips[:1]),
        "step_cpu_seconds": statistics.median(seconds[WARM_UP:]),
        "peak_bytes": peak,
        "clips_per_step": num_clips,
        "steps_per_epoch": manifest.counts()["train"] // data["batch_size"],
    }


def time_steps(
    model: nn.Module, settings: dict[str, Any], clips: torch.Tensor, num_classes: int
) -> list[float]:
    """Return the CPU seconds of each training step on clips (N, C, T, H, W)."""
    optimizer, _ = build(settings["optimizer"], name="optimizer")(model, 100)
    labels = torch.arange(len(clips)) % num_classes
    autocast = settings["trainer"]["precision"] == "bf16-mixed"
    seconds = []
    for _ in range(WARM_UP + MEASURED):
        began = time.process_time()
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            logits = model.train()(clips)
        if logits.ndim == 3:  # (N, S, K): S predictions a clip
            logits = logits.mean(1)
        nn.functional.cross_entropy(logits.float(), labels).backward()
        nn.utils.clip_grad_norm_(model.parameters(), settings["trainer"]["gradient_clip_val"])
        optimizer.step()
        seconds.append(time.process_time() - began)
    return seconds


def count_macs(model: nn.Module, clip: torch.Tensor) -> float:
    """Return the multiply-accumulates of convolutions and matrix products for one clip."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model.eval()(clip)
    return counter.get_total_flops() / 2


def peak_bytes() -> int:
    """Return the most memory that this process has held so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(json.dumps(measure(sys.argv[2:]), indent=1), encoding="utf-8")
