"""Sweeps by Hydra's plugins, each job a fresh process; they need extras of this package."""

import json

import pytest
import yaml

from tests.conftest import train_tiny
from videoclf.sweep_value import sweep_value

NEEDS = "needs pip install -e '.[sweeps]'"


def swept(folder, *arguments):
    """Run a sweep below a folder; return the run folders by their order."""
    finished = train_tiny(folder / "x", "run_dir=null", "name=swept", *arguments, "-m", cwd=folder)
    assert finished.returncode == 0, finished.stderr
    return sorted((folder / "runs" / "swept").iterdir())


def setting(run, group, key):
    return yaml.safe_load((run / "config.yaml").read_text())[group][key]


def test_optuna_looks_for_the_best_validation(tmp_path):
    pytest.importorskip("hydra_plugins.hydra_optuna_sweeper", reason=NEEDS)
    runs = swept(tmp_path, "sweep=optuna", "hydra.sweeper.n_trials=2")
    assert len(runs) == 2
    assert len({setting(run, "optimizer", "learning_rate") for run in runs}) == 2
    (found,) = tmp_path.glob("runs/sweeps/*/optimization_results.yaml")
    best = max(sweep_value(run, {"monitor": "val/video_top1_1x1", "mode": "max"}) for run in runs)
    assert yaml.safe_load(found.read_text())["best_value"] == pytest.approx(best)


def test_joblib_runs_two_jobs_at_a_time(tmp_path):
    pytest.importorskip("hydra_plugins.hydra_joblib_launcher", reason=NEEDS)
    runs = swept(
        tmp_path,
        "sweep=joblib",
        "model=slow_fusion",
        "model.widths=[4,8]",
        "model.temporal_strides=[1,2]",
        "optimizer.learning_rate=0.001,0.003",
    )
    assert sorted(setting(run, "optimizer", "learning_rate") for run in runs) == [0.001, 0.003]
    assert all((run / "report.html").is_file() for run in runs)


def test_a_job_of_submitit_starts_its_own_ranks(tmp_path):
    """The launcher of SLURM jobs, with processes of this machine in their place."""
    pytest.importorskip("hydra_plugins.hydra_submitit_launcher", reason=NEEDS)
    (run,) = swept(
        tmp_path,
        "hydra/launcher=submitit_local",
        "seed=1",
        "trainer=ddp",
        "trainer.devices=2",
        "trainer.accelerator=cpu",
        "data.batch_size=4",
    )
    results = json.loads((run / "results.json").read_text())
    assert results["environment"]["device"] == "2 x cpu"
    assert results["counts"] == {"expected": 16, "evaluated": 16, "missing": 0}


def test_what_a_job_is_compared_by(trained_run, tmp_path):
    value = sweep_value(trained_run, {"monitor": "val/video_top1_1x1", "mode": "max"})
    assert 0 <= value <= 1
    assert sweep_value(trained_run, {"monitor": "val/video_loss", "mode": "min"}) > 0
    assert sweep_value(trained_run, {"monitor": "val/other", "mode": "max"}) is None
    assert sweep_value(tmp_path, {"monitor": "val/video_loss", "mode": "min"}) is None
