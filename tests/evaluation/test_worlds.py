"""Identical counts on 1, 2 and 3 processes, in batches of 1, 4 and 16, whatever is missing."""

import os
import socket
import warnings

import pytest
import pytorch_lightning as pl
import torch
from torch import nn

from tests.barcode import write_barcodes
from tests.transforms.examples import strong
from videoclf.data.datamodule import VideoDataModule
from videoclf.data.manifest import Manifest
from videoclf.evaluation.evaluator import evaluate
from videoclf.evaluation.views import Views
from videoclf.optimizers import AdamW
from videoclf.samplers.dense import DenseSampler
from videoclf.tasks.classification import VideoClassification

BATCH_SIZES = (1, 4, 16)
#: the 7 videos of val, one of them damaged; the 2 of test, fewer than ranks
SUBSETS = ("val", "test")


class MeanColours(nn.Module):
    """Mean colour of a few places and times -> logits, the same wherever it is made.

    It encodes frames one by one, so that the clips of a video share them.
    """

    def __init__(self):
        super().__init__()
        self.head = nn.Linear(3 * 2 * 4 * 4, 3)
        generator = torch.Generator().manual_seed(0)
        with torch.no_grad():
            self.head.weight.normal_(generator=generator)
            self.head.bias.zero_()

    def encode_frames(self, frames):
        return nn.functional.adaptive_avg_pool2d(frames, (4, 4))  # (N, 3, 4, 4)

    def fuse(self, features):
        halves = features.unflatten(1, (2, -1)).mean(2)  # (B, 2, 3, 4, 4)
        return self.head(halves.flatten(1))

    def forward(self, rgb):
        frames = rgb.transpose(1, 2)  # (B, T, 3, H, W)
        features = self.encode_frames(frames.flatten(0, 1))
        return self.fuse(features.unflatten(0, frames.shape[:2]))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("videos")
    for number in range(9):
        write_barcodes(folder / f"{number}.mp4", range(10 * number, 10 * number + 12))
    (folder / "3.mp4").write_bytes(b"no video")
    return folder


def measured(folder, batch_size, subset):
    """Evaluate in this process group; return metrics, counts, the loss of each video."""
    data = VideoDataModule(
        manifest=Manifest.from_columns(
            class_names=["a", "b", "c"],
            paths=[f"{number}.mp4" for number in range(9)],
            labels=[(number % 3,) for number in range(9)],
            subsets=["val"] * 7 + ["test"] * 2,
            groups=[f"scene {number // 2}" for number in range(9)],
        ),
        folder=folder,
        reader="pyav",
        sampler=DenseSampler(num_frames=4, stride=1, fps=None, padding="last"),
        transform=strong(),
        views=Views(num_clips=3, num_crops=1, average="probabilities", keep=True),
        batch_size=batch_size,
        clips_per_video=1,
        num_workers=0,
        seed=0,
    )
    task = VideoClassification(
        model=MeanColours(),
        optimizer=AdamW(
            learning_rate=0.1,
            weight_decay=0.0,
            head_learning_rate_factor=1.0,
            layer_decay=1.0,
            warmup_fraction=0.0,
            final_fraction=0.0,
            betas=(0.9, 0.99),
        ),
        num_classes=3,
        label_smoothing=0.0,
        max_unreadable=1,
    )
    world = int(os.environ.get("WORLD_SIZE", "1"))
    trainer = pl.Trainer(
        accelerator="cpu",
        devices=world,
        strategy="ddp" if world > 1 else "auto",
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
        use_distributed_sampler=False,
    )
    found = evaluate(trainer, task, data, subset)
    scores = found.scores
    seen = scores.available
    own = scores.probabilities[seen].gather(1, scores.labels[seen, None])
    return {
        "metrics": found.metrics,
        "missing": scores.num_missing,
        "unreadable": [record.path for record in scores.unreadable],
        "loss": float(-own.log().mean()),
        "ranks": scores.columns["ranks"].tolist(),
        "seconds": scores.columns["seconds"][seen].tolist(),
        "views": tuple(scores.columns["views"].shape),
        "shared": found.inference["share_frames"],
    }


def all_of(folder):
    return {(b, s): measured(folder, b, s) for b in BATCH_SIZES for s in SUBSETS}


def as_rank(rank, world, port, folder, place):
    """Be one rank, as the launcher starts it, and leave what it found."""
    warnings.simplefilter("ignore")  # of a process of its own; the test has them as errors
    torch.set_num_threads(1)
    os.environ |= {
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "WORLD_SIZE": str(world),
        "LOCAL_WORLD_SIZE": str(world),
        "GROUP_RANK": "0",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "TORCHELASTIC_RUN_ID": "worlds",
    }
    torch.save(all_of(folder), place / f"{rank}.pt")


@pytest.mark.filterwarnings("ignore:The .* does not have many workers")
@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("world", [2, 3])
def test_the_same_on_any_number_of_processes_and_batch_size(folder, tmp_path, world):
    alone = all_of(folder)
    expected = {subset: alone[1, subset] for subset in SUBSETS}
    assert expected["val"]["missing"] == 1
    assert expected["val"]["unreadable"] == ["3.mp4"]
    assert expected["val"]["views"] == (7, 3, 3)
    assert expected["val"]["shared"]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    torch.multiprocessing.start_processes(
        as_rank, (world, port, folder, tmp_path), nprocs=world, start_method="fork"
    )
    everything = [alone, *(torch.load(tmp_path / f"{rank}.pt") for rank in range(world))]
    for found in everything:
        for (_, subset), one in found.items():
            assert one["loss"] == pytest.approx(expected[subset]["loss"], abs=1e-6)
            assert one["metrics"] == pytest.approx(expected[subset]["metrics"], abs=1e-6)
            for exact in ("missing", "unreadable", "ranks", "seconds", "views"):
                assert one[exact] == expected[subset][exact], exact
