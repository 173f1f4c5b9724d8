"""Augmented batches through the loader, and whole runs with transform=strong."""

import csv
import json

import pytest
import torch

from tests.barcode import write_barcodes
from tests.conftest import train_tiny
from tests.transforms.examples import strong
from videoclf.data.datamodule import VideoDataModule
from videoclf.data.manifest import Manifest
from videoclf.errors import ConfigError
from videoclf.evaluation.views import Views
from videoclf.samplers.dense import DenseSampler


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("videos")
    for number in range(8):
        write_barcodes(folder / f"{number}.mp4", range(10 * number, 10 * number + 12))
    return folder


def datamodule(folder, *, num_workers=0, num_crops=1, **transform):
    return VideoDataModule(
        manifest=Manifest.from_columns(
            class_names=["a", "b"],
            paths=[f"{number}.mp4" for number in range(8)],
            labels=[(number % 2,) for number in range(8)],
            subsets=["train"] * 8,
            starts=[None] * 8,
            ends=[None] * 8,
        ),
        folder=folder,
        reader="pyav",
        sampler=DenseSampler(num_frames=4, stride=1, fps=None, padding="last"),
        transform=strong(**transform),
        views=Views(num_clips=1, num_crops=num_crops, average="probabilities"),
        batch_size=4,
        clips_per_video=2,
        num_workers=num_workers,
        seed=5,
    )


@pytest.mark.parametrize("jitter", [{}, {"short_side": (26, 32), "scale": None, "aspect": None}])
def test_batches_are_the_same_for_any_number_of_workers(folder, jitter):
    batches = []
    for num_workers in (0, 2):
        data = datamodule(folder, num_workers=num_workers, **jitter)
        loader = data.train_dataloader()
        loader.batch_sampler.set_epoch(3)
        batches.append([data.transform.on_device(b, seed=5, train=True) for b in loader])
        del loader
    assert len(batches[0]) == 2
    for one, other in zip(*batches, strict=True):
        assert one.inputs["rgb"].shape == (8, 3, 4, 24, 24)
        assert torch.equal(one.inputs["rgb"], other.inputs["rgb"])
        assert torch.equal(one.mix.own_share, other.mix.own_share)
        assert torch.equal(one.mix.partner, other.mix.partner)


def test_mirrored_crops_of_directional_data_are_refused_before_anything_is_read(folder):
    assert datamodule(folder, num_crops=10).views["test"].num_views == 10
    with pytest.raises(ConfigError, match="views.num_crops=10 mirrors clips"):
        datamodule(folder, num_crops=10, directional=True)


def test_a_run_with_strong_augmentation_learns_from_finite_losses(tmp_path):
    finished = train_tiny(tmp_path / "run", "transform=strong", "data.clips_per_video=2")
    assert finished.returncode == 0, finished.stderr
    results = json.loads((tmp_path / "run" / "results.json").read_text())
    assert results["counts"]["missing"] == 0
    with (tmp_path / "run" / "metrics.csv").open() as file:
        losses = [float(row["train/loss"]) for row in csv.DictReader(file) if row["train/loss"]]
    assert losses
    assert all(0 < loss < 10 for loss in losses)
