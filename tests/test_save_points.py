"""A run that was stopped at any batch ends as the one that never was, bit by bit."""

import itertools
import shutil

import pytest

from tests.resuming import assert_same_end, fit, rows_of, start_folder
from videoclf.checkpoint_file import describe
from videoclf.checkpoints import load
from videoclf.reports.metrics_csv import read_metrics
from videoclf.save_points import SavePoints
from videoclf.stop_signals import StopSignals

COMMON = {
    "data__num_workers": 0,
    "data__batch_size": 4,
    "global_batch_size": 4,
    "trainer__max_epochs": 2,
    "trainer__log_every_n_steps": 1,
    "model__dropout": 0.5,
}
#: 8 batches an epoch; an accumulation of 3 leaves 2 batches over at its end.
VARIANTS = {"plain": {}, "averaged": {"ema_decay": 0.9, "trainer__accumulate_grad_batches": 3}}
EVERY_PLACE = list(itertools.product(range(2), range(8)))


@pytest.fixture(scope="module")
def whole(trained_run, tmp_path_factory):
    """Runs that were never stopped, by variant."""
    root = tmp_path_factory.mktemp("whole")
    for name, changes in VARIANTS.items():
        start_folder(trained_run, root / name, **COMMON, **changes)
        assert not fit(root / name)
    return root


def stop_and_go_on(source, folder, variant, place, num_workers):
    start_folder(source, folder, **COMMON, **VARIANTS[variant])
    assert fit(folder, stop_at=place)
    last = folder / "checkpoints" / "last.ckpt"
    assert not fit(folder, resume_from=last if last.exists() else None, num_workers=num_workers)


@pytest.mark.parametrize(
    ("variant", "place"), [("plain", (0, 5)), ("plain", (1, 0)), ("averaged", (1, 4))]
)
def test_a_stopped_run_ends_as_one_never_stopped(trained_run, whole, tmp_path, variant, place):
    stop_and_go_on(trained_run, tmp_path / "run", variant, place, num_workers=1)
    assert_same_end(whole / variant, tmp_path / "run")


@pytest.mark.slow
@pytest.mark.parametrize("place", EVERY_PLACE)
@pytest.mark.parametrize("variant", VARIANTS)
def test_so_it_does_from_every_place(trained_run, whole, tmp_path, variant, place):
    stop_and_go_on(trained_run, tmp_path / "run", variant, place, num_workers=place[1] % 3)
    assert_same_end(whole / variant, tmp_path / "run")


def test_it_also_goes_on_from_the_best_checkpoint(trained_run, whole, tmp_path):
    run = start_folder(trained_run, tmp_path / "run", **COMMON)
    assert fit(run, stop_at=(1, 2))
    assert describe(run / "checkpoints" / "best.ckpt")["progress"] == {
        "epoch": 1,
        "batch": 0,
        "step": 8,
    }
    assert not fit(run, resume_from=run / "checkpoints" / "best.ckpt")
    assert_same_end(whole / "plain", run)


def test_a_save_waits_until_no_gradients_are_pending(trained_run, tmp_path):
    run = start_folder(trained_run, tmp_path / "run", **COMMON, **VARIANTS["averaged"])
    assert fit(run, stop_at=(0, 4))  # gradients of batch 3 wait
    progress = describe(run / "checkpoints" / "last.ckpt")["progress"]
    assert progress == {"epoch": 0, "batch": 6, "step": 2}


def test_rows_logged_after_the_save_are_measured_again(trained_run, whole, tmp_path):
    run = start_folder(trained_run, tmp_path / "run", **COMMON, checkpoint__every_n_steps=2)
    assert fit(run, stop_at=(0, 3))
    shutil.copy(run / "checkpoints" / "last.ckpt", tmp_path / "early.ckpt")
    assert not fit(run, resume_from=tmp_path / "early.ckpt")
    assert not fit(run, resume_from=tmp_path / "early.ckpt")
    assert rows_of(run) == rows_of(whole / "plain")


def test_the_state_before_a_validation_is_on_disk(trained_run, tmp_path):
    run = start_folder(trained_run, tmp_path / "run", **{**COMMON, "trainer__max_epochs": 1})
    found = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            StopSignals,
            "on_validation_start",
            lambda *_: found.append(describe(run / "checkpoints" / "last.ckpt")["progress"]),
        )
        fit(run)
    assert found == [{"epoch": 0, "batch": 7, "step": 7}]
    assert load(run / "checkpoints" / "last.ckpt")["save_point"]["step"] == 8


def test_the_best_few_and_every_so_many_steps_are_kept(trained_run, tmp_path):
    """Written in a thread, stopped and gone on with: the same files as those of a whole run."""
    keep = {"checkpoint__keep_best": 2, "checkpoint__keep_every_n_steps": 6}
    changes = {**COMMON, **keep, "checkpoint__asynchronous": True, "trainer__max_epochs": 4}
    whole = start_folder(trained_run, tmp_path / "whole", **changes)
    assert not fit(whole)
    run = start_folder(trained_run, tmp_path / "run", **changes)
    assert fit(run, stop_at=(2, 3))
    assert not fit(run, resume_from=run / "checkpoints" / "last.ckpt")
    assert_same_end(whole, run)
    names = {path.name for path in (run / "checkpoints").iterdir()}
    assert names == {path.name for path in (whole / "checkpoints").iterdir()}
    assert {name for name in names if name[:5] == "step_"} == {
        f"step_{step}.ckpt" for step in (6, 12, 18, 24, 30)
    }
    measured = read_metrics(run / "metrics.csv")["val/video_top1_1x1"]
    best = sorted(range(4), key=lambda epoch: -measured[epoch][1])[:2]
    assert {name for name in names if name[:4] == "top_"} == {
        f"top_{8 * (epoch + 1)}.ckpt" for epoch in best
    }
    first = describe(run / "checkpoints" / f"top_{8 * (best[0] + 1)}.ckpt")["progress"]
    assert first == describe(run / "checkpoints" / "best.ckpt")["progress"]


def test_another_size_of_the_global_batch_is_refused(trained_run, tmp_path):
    run = start_folder(trained_run, tmp_path / "run", **COMMON)
    assert fit(run, stop_at=(0, 2))
    again = start_folder(trained_run, tmp_path / "again", **{**COMMON, "data__batch_size": 8})
    with pytest.raises(Exception, match="the checkpoint is of 4 videos a step"):
        fit(again, resume_from=run / "checkpoints" / "last.ckpt")


def test_it_also_saves_by_the_clock(trained_run, tmp_path, monkeypatch):
    run = start_folder(trained_run, tmp_path / "run", **COMMON, checkpoint__every_n_minutes=1e-9)
    saved = []
    monkeypatch.setattr(
        SavePoints, "_save", lambda self, trainer, last: saved.append(trainer.global_step)
    )
    assert fit(run, stop_at=(0, 4))
    assert saved == [0, 1, 2, 3, 4]
