"""Dry runs, overfitting, early stopping, staged freezing, profiles: on configs of one dry run."""

import copy

import pytest
import torch
import yaml
from torch import nn

from tests.conftest import train_tiny
from tests.resuming import assert_same_end, fit, start_folder
from videoclf.checkpoints import load
from videoclf.compiling import compile_model
from videoclf.data.manifest import Manifest
from videoclf.early_stopping import early_stopping
from videoclf.errors import ConfigError
from videoclf.freezing import StagedFreezing, freeze_part
from videoclf.reports.metrics_csv import read_metrics
from videoclf.trials import few_videos


@pytest.fixture(scope="module")
def tried(tmp_path_factory):
    """The folder of a dry run, and what it said."""
    folder = tmp_path_factory.mktemp("runs") / "tried"
    finished = train_tiny(folder, "dry_run=true", "trainer=cpu", "trainer.max_epochs=3")
    assert finished.returncode == 0, finished.stderr
    return folder, finished.stdout


@pytest.fixture(scope="module")
def manifest(tried):
    return Manifest.open(yaml.safe_load((tried[0] / "config.yaml").read_text())["manifest"]["path"])


def test_a_dry_run_goes_all_the_way_and_keeps_no_checkpoint(tried):
    folder, said = tried
    assert "dry run: two training batches and one validation batch went well, and 2 check" in said
    assert sorted(path.name for path in folder.iterdir()) == ["config.yaml", "metrics.csv"]
    curves = read_metrics(folder / "metrics.csv")
    assert len(curves["val/video_loss"]) == 1
    assert len(curves["train/loss"]) == 2


def test_a_run_out_of_patience_ends_and_stays_ended(tried, tmp_path):
    changes = {
        "dry_run": False,
        "trainer__max_epochs": 6,
        "optimizer__learning_rate": 1e-12,  # nothing ever gets better
        "early_stopping__patience": 2,
    }
    whole = start_folder(tried[0], tmp_path / "whole", **changes)
    assert not fit(whole, num_workers=0)
    assert len(read_metrics(whole / "metrics.csv")["val/video_top1_1x1"]) == 3
    broken = start_folder(tried[0], tmp_path / "broken", **changes)
    assert fit(broken, num_workers=0, stop_at=(2, 1))
    last = broken / "checkpoints" / "last.ckpt"
    assert not fit(broken, num_workers=0, resume_from=last)
    assert_same_end(whole, broken)
    assert not fit(broken, num_workers=0, resume_from=last)  # killed after its end
    assert_same_end(whole, broken)


@pytest.mark.parametrize(
    ("mode", "target", "values", "num_validations"),
    [
        ("max", 0.5, [0.3, 0.5, 0.7], 2),
        ("min", 0.5, [0.9, 0.6, 0.5], 3),
        ("max", 2.0, [0.3] * 3, 0),
    ],
)
def test_a_target_counts_as_reached_where_it_is_met(mode, target, values, num_validations):
    (callback,) = early_stopping(None, target, monitor="val/x", mode=mode)
    stops = [callback._evaluate_stopping_criteria(torch.tensor(value))[0] for value in values]
    assert stops.index(True) + 1 == num_validations if num_validations else not any(stops)


def test_a_run_that_reached_its_target_ends_and_stays_ended(tried, tmp_path, capfd):
    changes = {"dry_run": False, "trainer__max_epochs": 3, "early_stopping__target": 0.0}
    folder = start_folder(tried[0], tmp_path / "run", **changes)
    assert not fit(folder, num_workers=0)
    assert "stopped early: val/video_top1_1x1 reached 0" in capfd.readouterr().err
    assert len(read_metrics(folder / "metrics.csv")["val/video_top1_1x1"]) == 1
    last = folder / "checkpoints" / "last.ckpt"
    assert not fit(folder, num_workers=0, resume_from=last)
    assert len(read_metrics(folder / "metrics.csv")["val/video_top1_1x1"]) == 1


def test_the_backbone_learns_from_its_epoch_and_a_resume_knows_it(tried, tmp_path):
    changes = {
        "dry_run": False,
        "trainer__max_epochs": 2,
        "freeze": "backbone",
        "unfreeze_at_epoch": 1,
        "profiler": "simple",
    }
    whole = start_folder(tried[0], tmp_path / "whole", **changes)
    assert not fit(whole, num_workers=0)
    assert "run_training_batch" in (whole / "fit-profiler.txt").read_text()
    broken = start_folder(tried[0], tmp_path / "broken", **changes)
    last = broken / "checkpoints" / "last.ckpt"
    assert fit(broken, num_workers=0, stop_at=(0, 1))
    first = load(last)["state_dict"]
    assert fit(broken, num_workers=0, resume_from=last, stop_at=(1, 1))
    # one step of epoch 1 has been taken; only the batch norms' scales need to be looked at too
    second = load(last)["state_dict"]
    changed = {name for name in first if not torch.equal(first[name], second[name])}
    assert any("classifier" not in name for name in changed)
    assert not fit(broken, num_workers=0, resume_from=last)
    assert_same_end(whole, broken)


def test_a_frozen_backbone_does_not_change_before_its_epoch(tried, tmp_path):
    changes = {"dry_run": False, "trainer__max_epochs": 2, "freeze": "backbone"}
    folder = start_folder(tried[0], tmp_path / "run", **changes, unfreeze_at_epoch=[1])
    last = folder / "checkpoints" / "last.ckpt"
    assert fit(folder, num_workers=0, stop_at=(0, 1))
    early = load(last)["state_dict"]
    assert fit(folder, num_workers=0, resume_from=last, stop_at=(0, 3))  # resumed within an epoch
    late = load(last)["state_dict"]
    changed = {name for name in early if not torch.equal(early[name], late[name])}
    assert changed == {"model.classifier.weight", "model.classifier.bias"}


def test_overfitting_reads_the_same_clips_in_training_and_validation(tried, manifest, tmp_path):
    few = few_videos(manifest, 8)
    path = str(few.save())
    changes = {
        "dry_run": False,
        "overfit": 8,
        "trainer__max_epochs": 6,
        "manifest__path": path,
        "optimizer__learning_rate": 0.01,
    }
    folder = start_folder(tried[0], tmp_path / "run", **changes)
    assert not fit(folder, num_workers=0)
    losses = list(read_metrics(folder / "metrics.csv")["train/loss"])
    assert len(losses) == 6  # eight videos are one batch


def test_few_videos_are_of_all_classes_and_stand_twice(manifest):
    few = few_videos(manifest, 8)
    assert few.counts() == {"train": 8, "val": 8, "test": 0}
    paths = few.table["path"].to_pylist()
    assert paths[:8] == paths[8:]
    assert len(set(paths)) == 8
    assert len({tuple(labels) for labels in few.table["labels"].to_pylist()}) == min(
        8, len(manifest.class_names)
    )
    assert few.class_names == manifest.class_names
    for count in (0, 33):
        with pytest.raises(ConfigError, match=f"overfit={count} must be from 1 to the 32 train"):
            few_videos(manifest, count)


class Blocks(nn.Module):
    """An input layer, four blocks, a norm, a class head."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Linear(2, 2)
        self.blocks = nn.ModuleList(nn.Linear(2, 2) for _ in range(4))
        self.norm = nn.BatchNorm1d(2)
        self.classifier = nn.Linear(2, 3)

    def layers(self):
        return tuple(self.blocks)


def test_groups_of_blocks_begin_one_after_another():
    model = Blocks()
    (staged,) = freeze_part(model, "backbone", [1, 3])
    assert isinstance(staged, StagedFreezing)

    def learning(epoch):
        staged._arrange(epoch)
        return {n.rpartition(".")[0] for n, p in model.named_parameters() if p.requires_grad}

    assert learning(0) == {"classifier"}
    assert not model.norm.training
    assert model.classifier.training
    upper = {"classifier", "norm", "blocks.3", "blocks.2"}
    assert learning(1) == learning(2) == upper
    assert model.norm.training
    assert not model.blocks[0].training
    assert learning(3) == upper | {"embed", "blocks.0", "blocks.1"}


@pytest.mark.parametrize(
    ("freeze", "epochs", "message"),
    [
        (None, 5, "unfreeze_at_epoch=5 finds nothing frozen; set freeze=backbone"),
        ("backbone", 0, "unfreeze_at_epoch=0 must be an epoch from 1"),
        ("backbone", [3, 2], "must be an epoch from 1, or a list of such that ascends"),
        ("backbone", [1, 2, 3, 4, 5], "names 5 epochs, and Blocks has 4 blocks"),
    ],
)
def test_wrong_schedules_are_refused(freeze, epochs, message):
    with pytest.raises(ConfigError, match=message):
        freeze_part(Blocks(), freeze, epochs)


def test_a_compiled_model_keeps_the_names_of_its_weights():
    model = Blocks()
    names = list(model.state_dict())
    compile_model(model, True)
    assert model._compiled_call_impl is not None
    assert list(model.state_dict()) == names
    assert list(copy.deepcopy(model).state_dict()) == names
    plain = Blocks()
    compile_model(plain, False)
    assert plain._compiled_call_impl is None


def test_wrong_words_are_refused():
    with pytest.raises(ConfigError, match="compile=fast must be false, true or one of default, re"):
        compile_model(Blocks(), "fast")
    assert early_stopping(None, None, monitor="val/loss", mode="min") == []


@pytest.mark.slow
def test_a_compiled_run_leaves_the_checkpoint_of_any_run(tried, tmp_path):
    folder = start_folder(tried[0], tmp_path / "run", dry_run=False, compile=True)
    assert not fit(folder, num_workers=0)
    state = load(folder / "checkpoints" / "best.ckpt")["state_dict"]
    assert not any("_orig_mod" in name for name in state)
