"""Augmented batches through the loader, and whole runs with transform=strong."""

import csv
import json

import pytest
import torch

from tests.barcode import write_barcodes
from tests.forked_runs import train_forked
from tests.transforms.examples import mixing, strong
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


def test_a_batch_is_given_up_once_each_of_its_videos_has_had_its_time(folder):
    data = datamodule(folder, num_workers=1)
    assert data.train_dataloader().timeout == 0
    data.watchdog.seconds_per_file = 3
    assert data.train_dataloader().timeout == 3 * (4 + 1)


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


def repeated(folder, **settings):
    """Whole videos of 12 frames, four copies of each: copies differ by augmentation alone."""
    data = datamodule(folder, **{"mixing": mixing(0.0), **settings})
    data.sampler = DenseSampler(num_frames=12, stride=1, fps=None, padding="last")
    data.clips_per_video = 4
    return data


def test_each_copy_of_a_video_has_its_own_crop(folder):
    batch = next(iter(repeated(folder).train_dataloader()))
    assert batch.inputs["rgb"].shape == (4, 4, 12, 24, 24, 3)  # decoded once, uint8
    for copies in batch.inputs["rgb"]:
        assert len({copy.numpy().tobytes() for copy in copies}) == 4


def test_each_copy_of_a_video_is_augmented_apart_on_the_device(folder):
    whole = {"scale": (1.0, 1.0), "aspect": (1.0, 1.0)}
    data = repeated(folder, **whole)
    batch = next(iter(data.train_dataloader()))
    for copies in batch.inputs["rgb"]:
        assert len({copy.numpy().tobytes() for copy in copies}) == 1
    clips = data.transform.on_device(batch, seed=5, train=True).inputs["rgb"]  # (16, 3, T, H, W)
    for copies in clips.unflatten(0, (4, 4)):
        assert len({copy.numpy().tobytes() for copy in copies}) == 4


def test_the_same_clips_in_every_epoch_if_asked_for(folder):
    """For features on disk: each video keeps its four augmented copies; the order still changes."""

    def epoch(number, *, same_clips):
        data = repeated(folder)
        data.same_clips = same_clips
        loader = data.train_dataloader()
        loader.batch_sampler.set_epoch(number)
        found = {}
        for batch in loader:
            augmented = data.transform.on_device(batch, seed=5, train=True).inputs["rgb"]
            for row, copies in zip(
                batch.indices.tolist(), augmented.unflatten(0, (4, 4)), strict=True
            ):
                found[row] = copies
        return found

    first, later = (epoch(number, same_clips=True) for number in (0, 3))
    assert list(first) != list(later)
    assert all(torch.equal(first[row], later[row]) for row in range(8))
    anew = epoch(3, same_clips=False)
    assert not any(torch.equal(first[row], anew[row]) for row in range(8))


def test_mirrored_crops_of_directional_data_are_refused_before_anything_is_read(folder):
    assert datamodule(folder, num_crops=10).views["test"].num_views == 10
    with pytest.raises(ConfigError, match="views.num_crops=10 mirrors clips"):
        datamodule(folder, num_crops=10, directional=True)


def test_a_run_with_strong_augmentation_learns_from_finite_losses(tmp_path):
    train_forked(tmp_path / "run", "transform=strong", "data.clips_per_video=2")
    results = json.loads((tmp_path / "run" / "results.json").read_text())
    assert results["counts"]["missing"] == 0
    with (tmp_path / "run" / "metrics.csv").open() as file:
        losses = [float(row["train/loss"]) for row in csv.DictReader(file) if row["train/loss"]]
    assert losses
    assert all(0 < loss < 10 for loss in losses)
