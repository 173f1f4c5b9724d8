"""A network's training on one GPU: step time, MFU, and clips a second from file to weights.

    python benchmarks/gpu.py                            # three networks on drawn videos
    python benchmarks/gpu.py --models r3d_18 -- data=folder data.root=/videos

For each network: that its logits in bfloat16 agree with those in 32 bits (cuDNN 9.10.2 had a 3D
convolution that did not); the median step in both; the loader's own rate; then loader and steps
together, held against the slower of the two. It takes under ten minutes. Exit code 2 without a GPU.
"""

from __future__ import annotations

import argparse
import itertools
import json
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import nn

from videoclf.assembly import lay_channels_last
from videoclf.build import build
from videoclf.cli.composing import build_data, compose_train
from videoclf.config import plain
from videoclf.data.datamodule import TimedLoader, VideoDataModule
from videoclf.data.from_config import build_datamodule
from videoclf.errors import ConfigError, VideoclfError, end_with
from videoclf.pace import count_macs_of
from videoclf.profiling.costs import training_loss
from videoclf.profiling.peak import peak_operations, utilisation
from videoclf.types import Batch

MODELS = ("r3d_18", "slowfast_4x16_r50", "mvit_v2_s")
#: Of drawn videos, where no other data are named.
DRAWN = ("data.num_train=512", "data.num_val=8", "data.num_test=8", "data.size_pixels=128")
DRAWN += ("data.num_frames=64", "sampler.num_frames=16", "transform=standard")
DRAWN += ("transform.resize_pixels=128", "transform.crop_pixels=112")
#: Largest difference of logits in bfloat16, as a share of the largest logit in 32 bits.
TOLERANCE = 0.05


@dataclass(frozen=True)
class Measured:
    """One network. Rates are clips a second; `mfu` is None where the device's peak is unknown."""

    model: str
    clip: tuple[int, ...]
    clips_a_step: int
    bfloat16_difference: float
    step_seconds: float
    step_seconds_32_bits: float
    step_rate: float
    loader_rate: float
    end_to_end_rate: float
    wait_share: float
    macs_per_clip: int
    mfu: float | None
    peak_memory_gib: float | None


def check_device(name: str) -> torch.device:
    """Return the device.

    Raises:
        ConfigError: no such GPU is here.
    """
    device = torch.device(name)
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ConfigError(
            "benchmarks/gpu.py needs an NVIDIA GPU, and torch sees none here; nothing was measured"
        )
    return device


def environment(device: torch.device) -> str:
    """Return one line: versions and device."""
    cuda = torch.version.cuda or "none"
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"
    return f"torch {torch.__version__}, CUDA {cuda}, cuDNN {torch.backends.cudnn.version()}, {name}"


def measure(
    model_name: str, overrides: Sequence[str], device: torch.device, *, steps: int
) -> Measured:
    """Measure one network with the settings of train.py."""
    config = compose_train([f"model={model_name}", *overrides])
    data = build_data(config)
    manifest = data.manifest()
    classes = list(manifest.class_names)
    config = compose_train(
        [f"model={model_name}", *overrides],
        data__num_classes=len(classes),
        data__class_names=classes,
    )
    settings = plain(config)
    datamodule = build_datamodule(settings, manifest=manifest, folder=data.folder())
    torch.manual_seed(0)
    model: nn.Module = build(settings["model"], name="model").to(device)
    lay_channels_last(model)
    loader = datamodule.train_dataloader()
    batch = on_device(next(iter(loader)), datamodule, device)
    difference = bfloat16_difference(model, batch)
    if difference > TOLERANCE:
        raise ConfigError(
            f"{model_name}: logits in bfloat16 differ by {difference:.3f} of the largest one from "
            f"those in 32 bits, more than {TOLERANCE}; do not train in bfloat16 with these versions"
        )
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-4, momentum=0.9)
    exact = step_seconds(model, batch, optimizer, steps=steps, mixed=False)
    mixed = step_seconds(model, batch, optimizer, steps=steps, mixed=True)
    clips = len(batch) * batch.num_views
    loader_rate = rate_of_loader(datamodule, batches=steps)
    rate, wait = end_to_end(model, datamodule, device, optimizer, batches=steps)
    macs = count_macs_of(model, batch)
    assert macs is not None
    on_gpu = device.type == "cuda"
    peak = peak_operations(torch.cuda.get_device_name(device)) if on_gpu else None
    return Measured(
        model=model_name,
        clip=tuple(next(iter(batch.inputs.values())).shape[1:]),
        clips_a_step=clips,
        bfloat16_difference=difference,
        step_seconds=mixed,
        step_seconds_32_bits=exact,
        step_rate=clips / mixed,
        loader_rate=loader_rate,
        end_to_end_rate=rate,
        wait_share=wait,
        macs_per_clip=macs,
        mfu=utilisation(macs_per_clip=macs, clips_per_second=clips / mixed, peak=peak)
        if peak
        else None,
        peak_memory_gib=torch.cuda.max_memory_allocated(device) / 2**30 if on_gpu else None,
    )


def on_device(batch: Batch, datamodule: VideoDataModule, device: torch.device) -> Batch:
    """Move a batch and augment it, as a training does."""
    moved = batch.to(device)
    return datamodule.transform.on_device(moved, seed=datamodule.seed, train=True)


def bfloat16_difference(model: nn.Module, batch: Batch) -> float:
    """Return the largest difference of logits in bfloat16, over the largest logit in 32 bits."""
    device = next(model.parameters()).device
    model.eval()
    with torch.no_grad():
        exact = model(**batch.inputs).float()
        with torch.autocast(device.type, torch.bfloat16):
            mixed = model(**batch.inputs).float()
    model.train()
    return float((mixed - exact).abs().max() / exact.abs().max())


def step_seconds(
    model: nn.Module,
    batch: Batch,
    optimizer: torch.optim.Optimizer,
    *,
    steps: int,
    mixed: bool,
) -> float:
    """Return the median of training steps on one batch that lies on the device; two are warm-up."""
    times = []
    for _ in range(steps + 2):
        began = now()
        step(model, batch, optimizer, mixed=mixed)
        times.append(now() - began)
    return statistics.median(times[2:])


def step(model: nn.Module, batch: Batch, optimizer: torch.optim.Optimizer, *, mixed: bool) -> None:
    """Forward, backward, optimiser."""
    device = next(model.parameters()).device
    with torch.autocast(device.type, torch.bfloat16, enabled=mixed):
        loss = training_loss(model(**batch.inputs))
    loss.backward()
    optimizer.step()
    optimizer.zero_grad()


def rate_of_loader(datamodule: VideoDataModule, *, batches: int) -> float:
    """Return clips a second of the loader alone, from its first batch on."""
    loader = datamodule.train_dataloader()
    began, clips = 0.0, 0
    for number, batch in enumerate(repeated(loader, batches + 1)):
        if number == 0:
            began = time.perf_counter()
        else:
            clips += len(batch) * batch.num_views
    return clips / (time.perf_counter() - began)


def end_to_end(
    model: nn.Module,
    datamodule: VideoDataModule,
    device: torch.device,
    optimizer: torch.optim.Optimizer,
    *,
    batches: int,
) -> tuple[float, float]:
    """Return clips a second from files to weights, and the share of that time spent waiting."""
    loader = datamodule.train_dataloader()
    began, clips, waited = 0.0, 0, 0.0
    for number, batch in enumerate(repeated(loader, batches + 1)):
        if number == 0:
            began, waited = now(), loader.wait_seconds
        else:
            clips += len(batch) * batch.num_views
        step(model, on_device(batch, datamodule, device), optimizer, mixed=True)
        if number == 0:
            began = now()
    seconds = now() - began
    return clips / seconds, min(1.0, (loader.wait_seconds - waited) / seconds)


def repeated(loader: TimedLoader, batches: int) -> Any:
    """Yield that many batches, epoch after epoch."""
    endless = itertools.chain.from_iterable(itertools.repeat(loader))
    return itertools.islice(endless, batches)


def now() -> float:
    """Return seconds, when all that was asked of the GPU is done."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()


def describe(row: Measured) -> str:
    """Return a paragraph on one network."""
    slower = min(row.step_rate, row.loader_rate)
    exact = f"{row.step_seconds_32_bits * 1e3:.1f} in 32 bits"
    share = f"{row.end_to_end_rate / slower:.0%} of the slower of the two"
    mfu = "peak of the device unknown" if row.mfu is None else f"MFU {row.mfu:.1%}"
    memory = "" if row.peak_memory_gib is None else f", {row.peak_memory_gib:.1f} GiB at most"
    return (
        f"{row.model}, {row.clips_a_step} clips of {'x'.join(map(str, row.clip))}\n"
        f"  bfloat16 differs by {row.bfloat16_difference:.4f} of the largest logit\n"
        f"  step {row.step_seconds * 1e3:.1f} ms ({exact}), "
        f"{row.step_rate:.0f} clips/s, {mfu}{memory}\n"
        f"  loader alone {row.loader_rate:.0f} clips/s\n"
        f"  end to end {row.end_to_end_rate:.0f} clips/s, {share}; "
        f"{row.wait_share:.0%} of the time waiting for data"
    )


def main(words: Sequence[str]) -> int:
    """Measure, print, and write JSON where asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", default=",".join(MODELS), help="names of conf/model")
    parser.add_argument("--steps", type=int, default=30, help="that are counted, of each kind")
    parser.add_argument("--batch", type=int, default=32, help="videos of a step")
    parser.add_argument("--json", help="write the figures to this file")
    parser.add_argument("overrides", nargs="*", help="settings, as train.py takes them")
    options = parser.parse_args(words)
    try:
        device = check_device("cuda")
        sys.stdout.write(f"{environment(device)}\n")
        rows = []
        for name in options.models.split(","):
            torch.cuda.reset_peak_memory_stats()
            own = options.overrides or DRAWN
            settings = [*own, f"data.batch_size={options.batch}"]
            rows.append(measure(name, settings, device, steps=options.steps))
            sys.stdout.write(f"{describe(rows[-1])}\n")
    except VideoclfError as error:
        return end_with(str(error), error.exit_code)
    if options.json:
        said = {"environment": environment(device), "rows": [asdict(row) for row in rows]}
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump(said, file, indent=1)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
