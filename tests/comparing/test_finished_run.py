"""Run folders are found, read and, where they are not what they should be, named."""

import json

import pytest

from tests.comparing.finished_runs import make_run
from videoclf.comparing.finished_run import find_run_folders, read_run, step_seconds, video_groups
from videoclf.errors import ConfigError, DataError


def test_folders_of_runs_are_searched_and_no_run_counts_twice(tmp_path):
    one = make_run(tmp_path / "sweep" / "a" / "1", [1, 0])
    two = make_run(tmp_path / "sweep" / "2", [1, 0])
    unfinished = tmp_path / "sweep" / "3"
    unfinished.mkdir()
    (unfinished / "config.yaml").write_text("seed: 0\n", encoding="utf-8")
    found = find_run_folders([one, tmp_path / "sweep", tmp_path / "sweep" / ".." / "sweep" / "2"])
    assert found.runs == (one, two)
    assert found.unfinished == (unfinished,)


def test_what_is_no_run_is_named(tmp_path):
    with pytest.raises(ConfigError, match="gone does not exist; name run folders"):
        find_run_folders([tmp_path / "gone"])
    run = make_run(tmp_path / "run", [1, 0])
    with pytest.raises(ConfigError, match="results.json is a file; name run folders"):
        find_run_folders([run / "results.json"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigError, match="empty holds no run"):
        find_run_folders([tmp_path / "empty"])


def test_unfinished_and_damaged_runs_are_named_with_a_remedy(tmp_path):
    run = make_run(tmp_path / "run", [1, 0])
    whole = (run / "results.json").read_text(encoding="utf-8")
    (run / "results.json").write_text(whole[:100], encoding="utf-8")
    with pytest.raises(DataError, match="cannot read the results .*; evaluate the run again"):
        read_run(run)
    changed = json.loads(whole) | {"manifest_sha256": "0" * 64}
    (run / "results.json").write_text(json.dumps(changed), encoding="utf-8")
    with pytest.raises(DataError, match="tell of different data"):
        read_run(run)
    (run / "results.json").write_text(whole, encoding="utf-8")
    (run / "config.yaml").write_text("seed: [", encoding="utf-8")
    with pytest.raises(DataError, match=r"cannot read the config .*config.yaml: .*leave the run"):
        read_run(run)
    (run / "config.yaml").unlink()
    with pytest.raises(DataError, match="has no config.yaml"):
        read_run(run)
    (run / "predictions.parquet").write_bytes(b"PAR1")
    with pytest.raises(DataError, match="cannot read the predictions"):
        read_run(run)
    (run / "results.json").unlink()
    with pytest.raises(DataError, match=f"no results.json; go on with it by .* resume={run}"):
        read_run(run)


def test_an_evaluation_is_known_by_its_checkpoint_s_training(tmp_path, trained_run):
    for name in ("best", "last"):
        file = trained_run / "checkpoints" / f"{name}.ckpt"
        choices = {"model": "checkpoint", "data": "csv", "views": "default"}
        settings = [("checkpoint_file", str(file)), ("choices", choices), ("seed", 5)]
        config = read_run(make_run(tmp_path / name, [1, 0], config=settings)).config
        assert (config["seed"], config["choices"]["model"]) == (0, "slow_fusion")
        assert (config["choices"]["data"], config["data"]["batch_size"]) == ("csv", 8)
        assert config["trainer"]["max_epochs"] == 1
        assert config.get("checkpoint_file") == (None if name == "best" else "last.ckpt")
    gone = [("checkpoint_file", "gone.ckpt"), ("seed", 5)]
    assert read_run(make_run(tmp_path / "gone", [1, 0], config=gone)).seed == 5


def test_groups_come_from_the_manifest(tmp_path):
    run = make_run(tmp_path / "run", [1, 0, 1], groups=["a", None, "a"])
    assert video_groups(read_run(run)) == ["a", None, "a"]


def test_step_time_leaves_out_start_and_validation(tmp_path):
    curve = [(9, 30.0, None), (19, 32.0, None), (19, 50.0, 0.5), (29, 52.5, None), (39, 54.5, None)]
    run = make_run(tmp_path / "run", [1, 0], curve=curve)
    assert step_seconds(run) == pytest.approx(0.2)  # the median of 0.2, 0.25 and 0.2
    assert step_seconds(make_run(tmp_path / "short", [1, 0], curve=curve[:1])) is None
    assert step_seconds(make_run(tmp_path / "none", [1, 0])) is None
