"""`trainer=fsdp` and `trainer=ddp`, held against one process."""

import json
import shutil
import signal
import subprocess
import sys
import time

import pytest
import torch
from pytorch_lightning.strategies import SingleDeviceStrategy
from safetensors.torch import load_file

from tests.conftest import PROJECT, TINY, run_script, train_tiny
from tests.forked_ranks import run_ranks
from tests.forked_runs import train_forked
from tests.models.contract import configured
from tests.resuming import assert_same_end, fit, start_folder
from tests.transforms.examples import standard
from videoclf.checkpoint_file import describe
from videoclf.checkpoints import load, model_weights
from videoclf.data.datamodule import VideoDataModule
from videoclf.data.manifest import Manifest
from videoclf.errors import ConfigError
from videoclf.evaluation.views import Views
from videoclf.init_from import start_from
from videoclf.reports.metrics_csv import read_metrics
from videoclf.samplers.dense import DenseSampler
from videoclf.sharding import FullySharded, are_finite, shard, sharding_callbacks

SHARDED = {"strategy": {"_target_": "videoclf.sharding.FullySharded"}}
PAIR = ("trainer.devices=2", "trainer.accelerator=cpu")
#: Ten steps, each followed by a validation; no batch norm, no dropout; rates of six depths
SETTINGS = (
    "model=timesformer_small",
    "model.width=48",
    "model.depth=2",
    "data.num_train=16",
    "data.batch_size=16",
    "trainer.max_epochs=10",
    "optimizer.layer_decay=0.75",
    "optimizer.weight_decay=0.05",
    "checkpoint.monitor=val/video_loss",
    "checkpoint.mode=min",
)


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    folder = tmp_path_factory.mktemp("alone") / "run"
    train_forked(folder, *SETTINGS)
    return folder


@pytest.fixture(scope="module")
def sharded(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fsdp") / "run"
    finished = train_tiny(folder, *SETTINGS, "trainer=fsdp", *PAIR, "data.batch_size=8")
    assert finished.returncode == 0, finished.stderr
    return folder


def losses(folder):
    steps = read_metrics(folder / "metrics.csv")["val/video_loss"]
    assert len(steps) == 10
    return [value for _, value in steps]


def assert_same_training(folder, other):
    """Losses after each of ten steps, and the weights at the end."""
    assert losses(folder) == pytest.approx(losses(other), abs=1e-5)
    weights, others = (
        load(each / "checkpoints" / "last.ckpt")["state_dict"] for each in (folder, other)
    )
    assert weights.keys() == others.keys()
    for name, value in weights.items():
        torch.testing.assert_close(value, others[name], atol=1e-4, rtol=1e-3, msg=name)


def test_two_processes_equal_one(alone, tmp_path):
    changes = {"trainer__strategy": "ddp", "trainer__devices": 2, "data__batch_size": 8}
    pair = start_folder(alone, tmp_path / "ddp", **changes)
    run_ranks(2, lambda _: fit(pair))
    assert_same_training(alone, pair)


def test_shares_of_a_model_equal_the_whole(alone, sharded, tmp_path):
    """Whole tensors in its checkpoints: any run and any evaluation reads them."""
    assert_same_training(alone, sharded)
    best = sharded / "checkpoints" / "best.ckpt"
    evaluated = run_script(
        "evaluate.py",
        f"checkpoint={best}",
        "views.num_clips=2",
        f"run_dir={tmp_path / 'again'}",
        cwd=tmp_path,
    )
    assert evaluated.returncode == 0, evaluated.stderr
    first, second = (
        json.loads((folder / "results.json").read_text())["metrics"]
        for folder in (sharded, tmp_path / "again")
    )
    assert first == pytest.approx(second)


@pytest.mark.slow
def test_a_sharded_run_goes_on_as_if_it_had_never_stopped(sharded, tmp_path):
    """Two processes, one signal, two more processes: weights, optimiser, curves bit by bit."""
    command = [sys.executable, str(PROJECT / "train.py"), *TINY, *SETTINGS, "trainer=fsdp", *PAIR]
    command += ["data.batch_size=8", f"run_dir={tmp_path / 'run'}"]
    run = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    curves = tmp_path / "run" / "metrics.csv"
    deadline = time.monotonic() + 240
    while run.poll() is None and not (curves.exists() and curves.read_bytes().count(b"\n") > 6):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    run.send_signal(signal.SIGTERM)
    _, said = run.communicate(timeout=60)
    assert run.returncode == 143, said
    resumed = run_script("train.py", f"resume={tmp_path / 'run'}", cwd=tmp_path)
    assert resumed.returncode == 0, resumed.stderr
    assert_same_end(sharded, tmp_path / "run")


def fit_stopped(folder, stop_at):
    assert fit(folder, num_workers=0, stop_at=stop_at)


@pytest.mark.slow
def test_shares_are_gone_on_with_and_read_by_any_number(sharded, tmp_path):
    """Each rank writes its share: the same training, resumed on 2 ranks bit by bit, and on 1."""
    through, run, alone = tmp_path / "through", tmp_path / "run", tmp_path / "alone"
    start_folder(sharded, through, checkpoint__sharded=True)
    run_ranks(2, lambda _: fit(through, num_workers=0))
    for name in ("best.ckpt", "last.ckpt"):
        assert (through / "checkpoints" / name / "rank_1.safetensors").is_file()
        whole, own = (load(folder / "checkpoints" / name) for folder in (sharded, through))
        assert whole["state_dict"].keys() == own["state_dict"].keys()
        for key, value in whole["state_dict"].items():
            assert torch.equal(value, own["state_dict"][key]), key
    start_folder(sharded, run, checkpoint__sharded=True)
    run_ranks(2, lambda _: fit_stopped(run, (5, 0)))
    last = run / "checkpoints" / "last.ckpt"
    start_folder(sharded, alone, checkpoint__sharded=True, data__batch_size=16, trainer__devices=1)
    shutil.copytree(last, alone / "checkpoints" / "last.ckpt")
    run_ranks(2, lambda _: fit(run, num_workers=0, resume_from=last))
    assert_same_end(through, run)
    begun = alone / "checkpoints" / "last.ckpt"
    run_ranks(1, lambda _: fit(alone, num_workers=0, resume_from=begun))
    for key, value in load(through / "checkpoints" / "last.ckpt")["state_dict"].items():
        other = load(alone / "checkpoints" / "last.ckpt")["state_dict"][key]
        torch.testing.assert_close(value, other, atol=1e-4, rtol=1e-3, msg=key)


@pytest.mark.slow
def test_shares_are_evaluated_and_converted_by_one_process(sharded, tmp_path):
    run = start_folder(sharded, tmp_path / "run", checkpoint__sharded=True, trainer__max_epochs=2)
    run_ranks(2, lambda _: fit(run, num_workers=0))
    best = run / "checkpoints" / "best.ckpt"
    evaluated = run_script(
        "evaluate.py", f"checkpoint={best}", f"run_dir={tmp_path / 'again'}", cwd=tmp_path
    )
    assert evaluated.returncode == 0, evaluated.stderr
    assert (tmp_path / "again" / "results.json").is_file()
    command = [sys.executable, "-m", "videoclf", "weights", "convert", str(best), "net.safetensors"]
    converted = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert converted.returncode == 0, converted.stderr
    weights = load_file(tmp_path / "net.safetensors")
    own = model_weights(best)
    assert weights.keys() == own.keys()
    assert all(torch.equal(value, own[key]) for key, value in weights.items())
    names = describe(best)["classes"]
    model = configured("timesformer_small", num_classes=len(names), num_frames=4, width=48, depth=2)
    start_from(best, model, class_names=names, allow_unmatched=True)
    assert torch.equal(model.state_dict()["classifier.weight"], own["classifier.weight"])


def test_other_strategies_leave_a_model_alone():
    model = configured("timesformer_small")
    shard(model, SingleDeviceStrategy(torch.device("cpu")))
    assert all(type(parameter) is torch.nn.Parameter for parameter in model.parameters())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"ema_decay": 0.9}, "ema_decay=0.9 averages whole weights, and trainer=fsdp shards them"),
        ({"data": {"max_unreadable": 3}}, "data.max_unreadable=3 lets a rank skip a step"),
    ],
)
def test_what_cannot_be_sharded_is_refused_by_name(changes, message):
    config = {"trainer": SHARDED, "ema_decay": None, "data": {"max_unreadable": 0}, **changes}
    with pytest.raises(ConfigError, match=message):
        sharding_callbacks(config, training=True)
    assert len(sharding_callbacks(config, training=False)) == 1
    whole = {**config, "trainer": {"strategy": "ddp"}}
    assert sharding_callbacks(whole, training=True) == []
    with pytest.raises(ConfigError, match=r"checkpoint.sharded=true .* use trainer=fsdp"):
        sharding_callbacks({**whole, "checkpoint": {"sharded": True}}, training=True)


def test_a_model_that_lists_no_blocks_is_refused_by_name():
    message = "trainer=fsdp: SlowFusion has no method `layers`.*use trainer=ddp"
    with pytest.raises(ConfigError, match=message):
        shard(configured("slow_fusion"), FullySharded())


def test_gradients_that_are_not_finite_are_found():
    gradients = [torch.ones(2), torch.tensor([1.0, torch.inf]), torch.zeros(0), torch.tensor(2.0)]
    assert are_finite(gradients).tolist() == [True, False, True, True]


def test_a_loader_made_before_the_checkpoint_is_read_begins_where_the_run_stopped(tmp_path):
    """Lightning counts the steps, and so makes the loader, before it reads a sharded checkpoint."""
    data = VideoDataModule(
        manifest=Manifest.from_columns(
            class_names=["a"],
            paths=[f"{number}.mp4" for number in range(8)],
            labels=[(0,)] * 8,
            subsets=["train"] * 8,
            starts=[None] * 8,
            ends=[None] * 8,
        ),
        folder=tmp_path,
        reader="pyav",
        sampler=DenseSampler(num_frames=4, stride=1, fps=None, padding="last"),
        transform=standard(),
        views=Views(num_clips=1, num_crops=1, average="probabilities"),
        batch_size=2,
        clips_per_video=1,
        num_workers=0,
        seed=0,
    )
    batches = data.train_dataloader().batch_sampler
    batches.set_epoch(1)
    whole = list(batches)
    saved = {"epoch": 1, "batch": 3, "global_batch_size": 2, "wait_seconds": 0.0}
    data.load_state_dict(saved)
    assert list(batches) == whole[3:]
    batches.set_epoch(2)
    assert len(list(batches)) == 4
