"""`data.global_batch_size` and the learning rate that follows it."""

import shutil

import numpy as np
import pytest
import torch
from torch import nn

from tests.conftest import train_tiny
from tests.resuming import fit, rows_of, start_folder
from videoclf.checkpoints import load
from videoclf.data.batch_sampler import TrainBatches
from videoclf.errors import ConfigError
from videoclf.global_batch import describe_step, settle_global_batch
from videoclf.optimizers import SGD, AdamW
from videoclf.reports.metrics_csv import read_metrics

RATES = {"learning_rate": 0.1, "weight_decay": 0.0, "warmup_fraction": 0.0, "final_fraction": 0.0}
RATES |= {"head_learning_rate_factor": 1.0, "layer_decay": 1.0}


def config(wanted, *, size=8, passes=1, clips=1, **optimizer):
    return {
        "data": {"batch_size": size, "global_batch_size": wanted, "clips_per_video": clips},
        "trainer": {"accumulate_grad_batches": passes},
        "optimizer": {
            "learning_rate": 0.1,
            "reference_batch_size": None,
            "batch_rule": "linear",
            **optimizer,
        },
    }


@pytest.mark.parametrize(("ranks", "passes"), [(1, 8), (2, 4), (8, 1)])
def test_the_passes_follow_from_the_global_batch(ranks, passes):
    settled = settle_global_batch(config(64), ranks=ranks)
    assert settled["trainer"]["accumulate_grad_batches"] == passes
    assert describe_step(settled, ranks=ranks).startswith(
        f"a step: 64 videos = 8 x {ranks} rank(s) x {passes} accumulated; learning rate 0.1"
    )


def test_where_none_is_asked_for_nothing_changes():
    asked = config(None, passes=3, clips=2)
    assert settle_global_batch(asked, ranks=2) == asked
    line = describe_step(asked, ranks=2)
    assert line.startswith("a step: 48 videos = 8 x 2 rank(s) x 3 accumulated, 2 clips of each;")
    assert line.endswith("learning rate 0.1, whatever the batch")


@pytest.mark.parametrize(
    ("wanted", "ranks", "remedy"),
    [
        (100, 2, "= 16; set data.batch_size=5, or data.global_batch_size=96"),
        (100, 3, "= 24; set data.global_batch_size=96"),
        (6, 2, "= 16; set data.batch_size=3, or data.global_batch_size=16"),
        (1, 2, "= 16; set data.global_batch_size=16"),
    ],
)
def test_a_batch_that_cannot_be_made_says_what_can(wanted, ranks, remedy):
    with pytest.raises(ConfigError, match=f"data.global_batch_size={wanted} is no multiple") as e:
        settle_global_batch(config(wanted), ranks=ranks)
    assert str(e.value).endswith(remedy)


def test_two_answers_to_one_question_are_refused():
    with pytest.raises(ConfigError, match="accumulate_grad_batches=2 does too; leave one"):
        settle_global_batch(config(64, passes=2), ranks=1)


@pytest.mark.parametrize(("rule", "factor"), [("linear", 4.0), ("square_root", 2.0)])
def test_the_rate_follows_the_batch(rule, factor):
    settings = {"reference_batch_size": 16, "batch_rule": rule, "global_batch_size": 64}
    model = nn.Linear(2, 2)
    sgd, _ = SGD(**RATES, momentum=0.9, nesterov=True, **settings)(model, 10)
    adam, _ = AdamW(**RATES, betas=(0.9, 0.999), **settings)(model, 10)
    assert sgd.param_groups[0]["initial_lr"] == pytest.approx(0.1 * factor)
    assert adam.param_groups[0]["initial_lr"] == pytest.approx(0.1 * factor)
    said = describe_step(config(None, size=64, reference_batch_size=16, batch_rule=rule), ranks=1)
    ratio = "sqrt(64/16)" if rule == "square_root" else "64/16"
    assert said.endswith(f"learning rate {0.1 * factor:g} = 0.1 x {ratio}")


def test_a_rate_for_any_batch_stays():
    optimizer, _ = SGD(**RATES, momentum=0.9, nesterov=True, global_batch_size=64)(
        nn.Linear(2, 2), 9
    )
    assert optimizer.param_groups[0]["initial_lr"] == 0.1


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"batch_rule": "cubic"}, "batch_rule='cubic' must be linear or square_root"),
        ({"reference_batch_size": 0}, "reference_batch_size=0 must be at least 1, or null"),
    ],
)
def test_wrong_values_are_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        SGD(**RATES, momentum=0.9, nesterov=True, **wrong)


@pytest.mark.parametrize("world", [1, 2])
def test_an_epoch_has_whole_steps_of_the_same_videos_on_any_number_of_ranks(world):
    """21 videos, 8 a step: two steps, whatever passes and ranks make them."""
    size, passes = 2, 4 // world
    shards = [
        TrainBatches(np.arange(21), batch_size=size, seed=0, rank=rank, world=world, passes=passes)
        for rank in range(world)
    ]
    assert [len(shard) for shard in shards] == [2 * passes] * world
    read = [row for shard in shards for batch in shard for _, row in batch]
    whole = TrainBatches(np.arange(21), batch_size=8, seed=0, rank=0, world=1)
    assert sorted(read) == sorted(row for batch in whole for _, row in batch)
    with pytest.raises(ConfigError, match="a step of 40 videos is more than the 21"):
        TrainBatches(np.arange(21), batch_size=8, seed=0, rank=0, world=1, passes=5)


def test_accumulated_passes_train_as_one_large_batch(trained_run, tmp_path):
    """Batch norm sees a pass at a time, so it is frozen here."""
    common = {
        "batch_norm__mode": "frozen",
        "optimizer__reference_batch_size": 16,
        "trainer__max_epochs": 2,
    }
    whole = start_folder(trained_run, tmp_path / "whole", **common)
    parts = start_folder(
        trained_run,
        tmp_path / "parts",
        **common,
        data__batch_size=2,
        data__global_batch_size=8,
        trainer__accumulate_grad_batches=4,
        trainer__log_every_n_steps=50,
    )
    weights = []
    for folder in (whole, parts):
        assert not fit(folder, num_workers=0)
        weights.append(load(folder / "checkpoints" / "last.ckpt")["state_dict"])
    assert weights[0].keys() == weights[1].keys()
    for name, value in weights[0].items():
        torch.testing.assert_close(value, weights[1][name], atol=1e-5, rtol=1e-4, msg=name)
    logged = [row[0] for row in rows_of(parts)[1:] if row[2]]  # rows with a training loss
    assert logged == ["0", "1"]  # of an epoch of four steps, the last


def test_a_run_goes_on_with_other_passes(trained_run, tmp_path):
    """As on another number of ranks: the same videos in the same steps."""
    common = {
        "batch_norm__mode": "frozen",
        "trainer__max_epochs": 2,
        "trainer__log_every_n_steps": 1,
        "data__global_batch_size": 8,
    }
    four = {"data__batch_size": 2, "trainer__accumulate_grad_batches": 4, "global_batch_size": 2}
    two = {"data__batch_size": 4, "trainer__accumulate_grad_batches": 2, "global_batch_size": 4}
    whole = start_folder(trained_run, tmp_path / "whole", **common, **four)
    assert not fit(whole, num_workers=0)
    first = start_folder(trained_run, tmp_path / "run", **common, **four)
    assert fit(first, stop_at=(1, 8), num_workers=0)
    again = start_folder(trained_run, tmp_path / "changed", **common, **two)
    shutil.copytree(first / "checkpoints", again / "checkpoints")
    shutil.copy(first / "metrics.csv", again)
    assert not fit(again, resume_from=again / "checkpoints" / "last.ckpt", num_workers=0)
    ends = [load(folder / "checkpoints" / "last.ckpt") for folder in (whole, again)]
    assert ends[0]["global_step"] == ends[1]["global_step"]
    for name, value in ends[0]["state_dict"].items():
        torch.testing.assert_close(
            value, ends[1]["state_dict"][name], atol=1e-5, rtol=1e-4, msg=name
        )
    one, other = (read_metrics(folder / "metrics.csv")["train/loss"] for folder in (whole, again))
    assert [step for step, _ in one] == [step for step, _ in other] == list(range(8))


def test_train_py_prints_the_step_or_refuses_it(tmp_path):
    settings = ("data.global_batch_size=12", "data.batch_size=8")
    run = train_tiny(tmp_path / "refused" / "run", *settings, cwd=tmp_path)
    assert run.returncode == 2
    assert run.stderr.strip().endswith("set data.batch_size=6, or data.global_batch_size=16")
    assert not (tmp_path / "refused").exists()
    run = train_tiny(
        tmp_path / "run",
        "dry_run=true",
        "data.global_batch_size=16",
        "optimizer.reference_batch_size=64",
    )
    assert run.returncode == 0, run.stderr
    said = (
        "a step: 16 videos = 8 x 1 rank(s) x 2 accumulated; learning rate 0.00075 = 0.003 x 16/64"
    )
    assert said in run.stderr
