"""Multigrid training: the plan as arithmetic, its clips as read, its runs as trained."""

import collections
import itertools

import numpy as np
import pytest
import torch
import yaml
from torch import nn

from tests.conftest import train_tiny
from tests.models.contract import configured
from tests.resuming import assert_same_end, fit, rows_of, start_folder
from videoclf.checkpoints import load
from videoclf.data.batch_sampler import TrainBatches
from videoclf.errors import ConfigError
from videoclf.multigrid import Multigrid, MultigridPlan
from videoclf.multigrid_training import check_model, describe, paced
from videoclf.optimizers import SGD
from videoclf.samplers.dense import DenseSampler
from videoclf.samplers.segments import SegmentSampler
from videoclf.types import ClipShape

WHOLE = ClipShape(num_frames=16, crop_pixels=224)


def multigrid(**changes):
    settings = {"long_cycles": 1, "short_cycle": True, "fine_fraction": 0.2, "round_pixels": 16}
    return Multigrid(**{**settings, **changes})


def plan(units=100, epochs=8, **changes):
    return MultigridPlan(multigrid(**changes), whole=WHOLE, units=units, epochs=epochs)


def test_the_shapes_of_the_paper():
    grids = multigrid().grids(WHOLE)
    named = [
        [(g.scale, g.shape.num_frames, g.shape.crop_pixels, g.rate_scale) for g in stage]
        for stage in grids
    ]
    assert named == [
        [(16, 4, 112, 8), (8, 4, 160, 8), (8, 4, 160, 8)],
        [(8, 8, 112, 4), (4, 8, 160, 4), (4, 8, 160, 4)],
        [(8, 8, 112, 2), (4, 8, 160, 2), (2, 8, 224, 2)],
        [(4, 16, 112, 1), (2, 16, 160, 1), (1, 16, 224, 1)],
    ]
    for stage in grids:
        for grid in stage:
            pixels = grid.scale * grid.shape.num_frames * grid.shape.crop_pixels**2
            assert pixels == pytest.approx(16 * 224**2, rel=0.03)  # 160 is not quite 224 / sqrt 2


def test_an_epoch_reads_what_the_plain_schedule_reads():
    for changes in ({}, {"short_cycle": False}, {"long_cycles": 0}, {"long_cycles": 3}):
        planned = plan(**changes)
        epochs = [planned.steps(epoch) for epoch in range(8)]
        assert [sum(scale for scale, _ in steps) for steps in epochs] == [100] * 8
        assert sum(map(len, epochs)) == len(planned) < 800
        assert planned.steps(7)[-1][1].num_frames == 16


def test_the_stages_take_equal_numbers_of_steps_and_the_finest_ends():
    planned = plan(units=4000, epochs=2, short_cycle=False)
    steps = [shape for epoch in range(2) for _, shape in planned.steps(epoch)]
    counts = collections.Counter(steps)
    coarse = [counts[shape] for shape in multigrid(short_cycle=False).shapes(WHOLE)[:3]]
    assert max(coarse) - min(coarse) <= 2
    # the finest: as many again in the cycle, and a fifth of the 8,000 units afterwards
    assert counts[WHOLE] == pytest.approx(coarse[0] + 1600, abs=3)
    assert set(steps[-1600:]) == {WHOLE}


def test_a_plan_of_several_cycles_comes_back_to_coarse_clips():
    planned = plan(units=4000, epochs=2, short_cycle=False, long_cycles=2)
    frames = [shape.num_frames for epoch in range(2) for _, shape in planned.steps(epoch)]
    changes = [frames[0]] + [b for a, b in itertools.pairwise(frames) if a != b]
    assert changes == [4, 8, 16, 4, 8, 16]


def test_rates_go_by_the_videos_read_and_the_batch_of_the_long_cycle():
    planned = plan()
    assert [planned.plain_step(step) for step in range(4)] == [0, 16, 24, 32]
    assert [planned.rate_scale(step) for step in (0, 1, 2)] == [8, 8, 8]
    assert planned.rate_scale(len(planned) - 1) == 1
    assert planned.plain_step(len(planned)) == 800
    factory = SGD(
        learning_rate=0.1,
        weight_decay=0.0,
        head_learning_rate_factor=1.0,
        layer_decay=1.0,
        warmup_fraction=0.0,
        final_fraction=1.0,
        momentum=0.0,
        nesterov=False,
    )
    for rule, first in (("linear", 0.8), ("square_root", 0.1 * 8**0.5)):
        optimizer, schedule = factory(nn.Linear(2, 2), 800)
        schedule = paced(optimizer, schedule, planned, rule=rule)
        assert schedule.get_last_lr()[0] == pytest.approx(first)
        for _ in range(len(planned)):
            optimizer.step()
            schedule.step()
        assert schedule.get_last_lr()[0] == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"long_cycles": -1}, "long_cycles=-1 must be at least 0"),
        ({"long_cycles": 0, "short_cycle": False}, "leave nothing to do; set multigrid=null"),
        ({"fine_fraction": 1.0}, r"fine_fraction=1.0 must be in \[0, 1\)"),
        ({"round_pixels": 0}, "round_pixels=0 must be at least 1"),
    ],
)
def test_wrong_values_are_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        multigrid(**wrong)


def batches(rank=0, world=1, size=2, passes=1):
    planned = plan(units=203 // (size * world * passes), epochs=2)
    return TrainBatches(
        np.arange(203),
        batch_size=size,
        seed=0,
        rank=rank,
        world=world,
        passes=passes,
        plan=planned,
    )


def test_all_ranks_have_the_same_shape_at_a_step_and_share_its_videos():
    alone = list(batches())
    pair = [list(batches(rank=rank, world=2, size=1)) for rank in range(2)]
    assert [a + b for a, b in zip(*pair, strict=True)] == alone
    assert all(len({shape for *_, shape in batch}) == 1 for batch in alone)
    rows = [row for batch in alone for _, row, _ in batch]
    assert len(rows) == len(set(rows)) == 202
    assert len({len(batch) for batch in alone}) > 2


def test_accumulated_passes_of_a_step_have_one_shape():
    parts, alone = list(batches(size=1, passes=2)), list(batches())
    assert [a + b for a, b in zip(parts[::2], parts[1::2], strict=True)] == alone


def test_a_resumed_epoch_goes_on_with_the_step_that_was_next():
    whole, resumed = batches(), batches()
    whole.set_epoch(1)
    resumed.start_at(1, 3)
    assert list(resumed) == list(whole)[3:]
    assert len(resumed) == len(whole)


def test_coarser_clips_span_as_long_a_stretch_at_most():
    dense = DenseSampler(num_frames=16, stride=2, fps=None, padding="last").coarser(4)
    clips = [dense.train_clip(100, 25.0, np.random.default_rng(seed)) for seed in range(200)]
    spans = [int(clip[-1] - clip[0]) for clip in clips]
    assert {len(clip) for clip in clips} == {4}
    assert 6 <= min(spans) <= 8
    assert 28 <= max(spans) <= 30  # 15 steps of 2
    assert SegmentSampler(num_frames=8).coarser(2).num_frames == 2


@pytest.fixture(scope="module")
def trained(trained_run, tmp_path_factory):
    """The folder of a run with both cycles, never stopped."""
    folder = tmp_path_factory.mktemp("multigrid") / "whole"
    start_folder(trained_run, folder, **changes())
    assert not fit(folder, num_workers=0)
    return folder


def changes(**others):
    node = {"_target_": "videoclf.multigrid.Multigrid", "long_cycles": 1, "short_cycle": True}
    node |= {"fine_fraction": 0.3, "round_pixels": 8}
    return {
        "multigrid": node,
        "data__batch_size": 1,
        "global_batch_size": 1,
        "trainer__max_epochs": 3,
        "trainer__log_every_n_steps": 1,
        "model__temporal_strides": [1, 1],
        **others,
    }


def test_a_run_has_fewer_steps_in_as_many_epochs(trained):
    steps = [row for row in rows_of(trained)[1:] if row[2]]  # rows with a training loss
    counts = collections.Counter(row[0] for row in steps)
    planned = MultigridPlan(
        multigrid(fine_fraction=0.3, round_pixels=8),
        whole=ClipShape(4, 32),
        units=32,
        epochs=3,
    )
    assert counts == {str(epoch): len(planned.steps(epoch)) for epoch in range(3)}
    assert len(planned) == len(steps) == load(trained / "checkpoints/last.ckpt")["global_step"]
    assert "in place of 96; clips of 1x16x16, 1x24x24" in describe(planned)


def test_each_epoch_is_logged_also_where_it_has_few_steps(trained_run, tmp_path):
    asked = changes(trainer__log_every_n_steps=50)
    folder = start_folder(trained_run, tmp_path / "run", **asked)
    assert not fit(folder, num_workers=0)
    logged = [row[0] for row in rows_of(folder)[1:] if row[2]]
    assert set(logged) == {"0", "1", "2"}


@pytest.mark.parametrize("place", [(0, 1), (1, 0), (2, 5)])
def test_a_stopped_run_ends_as_one_never_stopped(trained_run, trained, tmp_path, place):
    folder = start_folder(trained_run, tmp_path / "run", **changes())
    assert fit(folder, stop_at=place, num_workers=0)
    assert not fit(folder, resume_from=folder / "checkpoints" / "last.ckpt", num_workers=1)
    assert_same_end(trained, folder)


@pytest.mark.slow
def test_two_processes_equal_one(tmp_path):
    """Also in where they change the shape; frozen batch norm, which would see half a batch."""
    settings = (
        "multigrid=both",
        "multigrid.round_pixels=8",
        "batch_norm.mode=frozen",
        "trainer.max_epochs=2",
        "model.temporal_strides=[1,1]",
        "model.widths=[4,8]",
        "optimizer=sgd",
    )
    weights = []
    for name, own in (
        ("alone", ("data.batch_size=2",)),
        (
            "pair",
            ("data.batch_size=1", "trainer=ddp", "trainer.devices=2", "trainer.accelerator=cpu"),
        ),
    ):
        run = train_tiny(tmp_path / name, *settings, *own)
        assert run.returncode == 0, run.stderr
        assert "in place of 32; clips of 1x16x16, 1x24x24, 2x16x16" in run.stderr
        weights.append(load(tmp_path / name / "checkpoints" / "last.ckpt")["state_dict"])
    for name, value in weights[0].items():
        torch.testing.assert_close(value, weights[1][name], atol=1e-5, rtol=1e-4, msg=name)


def test_a_model_of_one_clip_size_is_refused_by_name(trained_run, tmp_path):
    with pytest.raises(ConfigError, match="SlowFusion cannot see the clips of 1x16x16 that multi"):
        fit(
            start_folder(trained_run, tmp_path / "run", **changes(model__temporal_strides=[2, 2])),
            num_workers=0,
        )
    with pytest.raises(ConfigError, match="trainer.max_epochs=-1: multigrid shares out a number"):
        fit(start_folder(trained_run, tmp_path / "endless", **changes(trainer__max_epochs=-1)))
    with pytest.raises(ConfigError, match="overfit=8 trains on the same clips again and again"):
        fit(start_folder(trained_run, tmp_path / "few", **changes(overfit=8)))
    model = configured("resnet_3d_small")
    check_model(model, multigrid().shapes(ClipShape(8, 64)), ["rgb"])
    assert model.training
    config = yaml.safe_load((tmp_path / "run" / "config.yaml").read_text())
    assert config["multigrid"]["fine_fraction"] == 0.3
