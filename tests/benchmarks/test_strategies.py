import json

import pytest
import torch
import yaml

from tests.models.contract import CONF, configured


@pytest.mark.parametrize(
    ("num_steps", "steps_per_epoch", "expected"),
    [(250, 100, (3, 83, 1)), (1000, 100, (12, 83, 3)), (7, 18, (1, 7, 1)), (90, 18, (6, 15, 2))],
)
def test_the_schedule_spends_the_steps(script, num_steps, steps_per_epoch, expected):
    epochs, limit, every = script("strategies").schedule(num_steps, steps_per_epoch)
    assert (epochs, limit, every) == expected
    assert num_steps - epochs < epochs * limit <= num_steps
    assert limit <= steps_per_epoch
    assert epochs % every == 0  # the last one is validated


def test_every_strategy_has_a_folder_of_its_own(script):
    strategies = script("strategies")
    names = [strategies.folder_name(strategy) for strategy in strategies.STRATEGIES]
    assert len(set(names)) == len(names)
    assert "r_2_1_d" in names


def test_what_was_not_run_stays_empty(script, tmp_path):
    strategies = script("strategies")
    done = tmp_path / "moving_shapes" / "slow_fusion"
    (done / "run").mkdir(parents=True)
    facts = {
        "parameters": 293_112,
        "macs": 35.4e6,
        "step_cpu_seconds": 0.05,
        "peak_bytes": 90e6,
        "clips_per_step": 16,
        "steps_per_epoch": 100,
    }
    (done / "step.json").write_text(json.dumps(facts))
    (done / "run" / "results.json").write_text(
        json.dumps({"metrics": {"test/video_top5_3x1": 1.0, "test/video_top1_3x1": 0.75}})
    )
    (done / "run" / "metrics.csv").write_text(
        "epoch,step,train/clip_top1\n0,99,\n0,99,0.5\n1,199,0.625\n"
    )
    cells = {
        (data, strategy.name): strategies.read_cell(
            tmp_path / data / strategies.folder_name(strategy)
        )
        for data in strategies.SETS
        for strategy in strategies.STRATEGIES
    }
    lines = list(strategies.table(cells))
    expected = "| slow fusion | 293 | 0.750 | 0.625 | 200 | 35 | 0.05 | 90 |" + "  |" * 6
    assert expected in lines
    assert "| single frame |" + "  |" * 13 in lines


def test_a_step_is_measured(script):
    step = script("strategy_step")
    model = configured("slow_fusion", num_classes=4)
    settings = {
        "optimizer": yaml.safe_load((CONF.parent / "optimizer" / "sgd.yaml").read_text()),
        "trainer": {"precision": "bf16-mixed", "gradient_clip_val": 1.0},
    }
    clips = torch.randn(2, 3, 8, 32, 32)
    seconds = step.time_steps(model, settings, clips, 4)
    assert len(seconds) == step.WARM_UP + step.MEASURED
    assert min(seconds) > 0
    assert step.count_macs(model, clips[:1]) > 1e6
