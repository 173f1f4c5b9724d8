"""`python train.py resume=<run folder>` as a user runs it, and what it refuses."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

import train as train_script
from tests.conftest import PROJECT, TINY, TINY_MODEL, run_script
from tests.loader_processes import children, stop_worker_on_a_file
from tests.resuming import assert_same_end, rows_of
from tests.test_bad_input import in_process
from videoclf import resume
from videoclf.checkpoint_file import describe
from videoclf.data.manifest import Manifest
from videoclf.errors import CheckpointError, ConfigError, DataError
from videoclf.reports.results import Results
from videoclf.run_folder import claimed
from videoclf.whole_checkpoints import newest_checkpoint


@pytest.fixture
def train(monkeypatch, capfd, tmp_path):
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: in_process(
        train_script, *arguments, monkeypatch=monkeypatch, capfd=capfd
    )


@pytest.fixture
def finished(trained_run, tmp_path):
    """A copy of a run that has ended."""
    return shutil.copytree(trained_run, tmp_path / "run")


@pytest.fixture
def unfinished(finished):
    """One that was killed while it evaluated."""
    for name in ("results.json", "report.html", "predictions.parquet"):
        (finished / name).unlink()
    return finished


def damage(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (["seed=1"], "seed cannot be set beside resume"),
        (["model=late_fusion_pool"], "model cannot be set beside resume"),
        (["trainer.max_epochs=9"], "a run goes on with its own settings; leave it out, or start"),
        (["data.batch_size=2"], "data.batch_size cannot be set beside resume"),
        (["data.num_workers=-1"], "data.num_workers=-1 must be at least 0"),
        (["trainer.devices=3", "trainer.accelerator=cpu"], "which 3 ranks cannot share evenly"),
    ],
)
def test_what_would_change_the_result_is_refused(train, unfinished, changes, sentence):
    code, said = train(f"resume={unfinished}", *changes)
    assert (code, sentence in said) == (2, True), said


def test_a_folder_that_is_no_run(train, tmp_path):
    (tmp_path / "empty").mkdir()
    code, said = train(f"resume={tmp_path / 'empty'}")
    assert (code, "has no config.yaml" in said) == (2, True), said
    code, said = train("resume=nowhere")
    assert (code, "nowhere does not exist" in said) == (2, True), said
    (tmp_path / "empty" / "config.yaml").write_text("checkpoint_file: best.ckpt\n")
    code, said = train(f"resume={tmp_path / 'empty'}")
    assert (code, "not the folder of a training run" in said) == (2, True), said


def test_all_checkpoints_damaged(train, unfinished):
    for name in ("last.ckpt", "best.ckpt"):
        damage(unfinished / "checkpoints" / name)
    code, said = train(f"resume={unfinished}")
    assert (code, "last.ckpt is damaged" in said) == (5, True), said


def test_the_newest_whole_checkpoint_is_used_and_damage_is_said(finished, capsys):
    folder = finished / "checkpoints"
    assert newest_checkpoint(folder) == folder / "last.ckpt"
    assert capsys.readouterr().err == ""
    damage(folder / "last.ckpt")
    assert newest_checkpoint(folder) == folder / "best.ckpt"
    said = capsys.readouterr().err
    assert "warning: " in said
    assert f"last.ckpt is damaged: its content does not match its hash; using {folder}" in said
    damage(folder / "best.ckpt")
    with pytest.raises(CheckpointError):
        newest_checkpoint(folder)
    assert newest_checkpoint(finished / "nothing") is None


def test_no_more_is_hashed_than_it_takes(finished, monkeypatch):
    folder = finished / "checkpoints"
    shutil.copy(folder / "last.ckpt", folder / "step_2.ckpt")
    hashed = []
    monkeypatch.setattr(resume.checkpoint_file, "verify", hashed.append)
    assert newest_checkpoint(folder) == folder / "last.ckpt"
    assert hashed == [folder / "last.ckpt"]


def test_a_damaged_best_is_set_aside_and_the_run_ends(unfinished):
    damage(unfinished / "checkpoints" / "best.ckpt")
    ended = run_script("train.py", f"resume={unfinished}", "data.num_workers=0", cwd=unfinished)
    assert ended.returncode == 0, ended.stderr
    assert "best.ckpt is damaged" in ended.stderr
    assert "it is now best.ckpt.damaged" in ended.stderr
    assert "last.ckpt is evaluated instead" in ended.stderr
    assert (unfinished / "report.html").exists()


def test_a_finished_run_says_so(trained_run, monkeypatch, capfd, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["train.py", f"resume={trained_run}"])
    train_script.train()
    assert "is finished already" in capfd.readouterr().out


def test_a_moved_run_is_known_by_its_new_folder(finished):
    config = yaml.safe_load((finished / "config.yaml").read_text())
    assert config["run_dir"] != str(finished)
    changed = resume.changed_config(config, finished, {"data.num_workers": 3})
    assert changed["run_dir"] == changed["logger"]["csv"]["folder"] == str(finished)
    assert changed["data"]["num_workers"] == 3


def test_other_data_are_not_taken_for_the_same(finished):
    config = yaml.safe_load((finished / "config.yaml").read_text())
    config["manifest"] = {"path": "/gone", "sha256": "of others"}
    with pytest.raises(DataError, match="not those that the run began with"):
        resume.find_data(config, moved=False)


def test_a_lost_manifest_is_built_again(finished):
    config = yaml.safe_load((finished / "config.yaml").read_text())
    config["manifest"]["path"] = "/gone"
    resume.find_data(config, moved=False)
    assert Path(config["manifest"]["path"]).is_file()


def test_on_several_machines_the_manifest_lies_in_the_run_folder(finished):
    config = yaml.safe_load((finished / "config.yaml").read_text())
    resume.find_data(config, moved=False, folder=finished)
    assert Path(config["manifest"]["path"]) == finished / "manifest.arrow"
    assert Manifest.open(finished / "manifest.arrow").sha256 == config["manifest"]["sha256"]


@pytest.mark.parametrize(
    ("before", "ranks", "after"),
    [  # videos of a rank's batch, ranks, batches a step; with data.global_batch_size
        ((8, 4, 8), 4, (8, 8)),
        ((8, 4, 8), 8, (4, 8)),
        ((8, 4, 8), 64, (4, 1)),
        ((4, 64, 1), 8, (4, 8)),
        ((4, 2, 1), 1, (4, 2)),
        ((6, 2, 1), 4, (3, 1)),
    ],
)
def test_a_step_is_shared_among_other_ranks(before, ranks, after):
    size, world, passes = before
    config = {
        "data": {"batch_size": size, "global_batch_size": size * world * passes},
        "trainer": {"accumulate_grad_batches": passes},
        "global_batch_size": size * world,
    }
    assert resume.share_of_step(config, ranks) == after
    config["data"]["global_batch_size"] = None  # then the number of batches stays
    if size * world % ranks:
        with pytest.raises(ConfigError, match=f"on {size * world * passes} videos a step, in"):
            resume.share_of_step(config, ranks)
    else:
        assert resume.share_of_step(config, ranks) == (size * world // ranks, passes)


def test_a_run_is_continued_by_one_command_at_a_time(finished):
    (finished / ".metrics.csv.abc.part").touch()
    (finished / "checkpoints" / ".last.ckpt.abc.part").touch()
    with claimed(finished):
        assert not list(finished.rglob(".*"))
        with pytest.raises(ConfigError, match="another command"), claimed(finished):
            pass


def test_a_run_killed_in_its_evaluation_repeats_only_that(unfinished, trained_run):
    before = describe(unfinished / "checkpoints" / "last.ckpt")["progress"]
    written = (unfinished / "checkpoints" / "last.ckpt").stat().st_mtime_ns
    ended = run_script("train.py", f"resume={unfinished}", "data.num_workers=0", cwd=unfinished)
    assert ended.returncode == 0, ended.stderr
    assert "epoch 1/" not in ended.stderr
    assert (unfinished / "checkpoints" / "last.ckpt").stat().st_mtime_ns == written
    assert describe(unfinished / "checkpoints" / "last.ckpt")["progress"] == before
    first, again = (Results.load(f / "results.json") for f in (trained_run, unfinished))
    assert first.metrics == again.metrics
    assert again.timing["wall_seconds"] > again.timing["train_seconds"] > 0
    assert rows_of(trained_run) == rows_of(unfinished)


class Running:
    """A training of the tiny data set, with what it has said."""

    def __init__(self, folder, *arguments):
        self.folder = folder
        command = [sys.executable, str(PROJECT / "train.py"), *arguments]
        self.process = subprocess.Popen(
            command, cwd=folder.parent, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
        )

    def wait_for_rows(self, number, timeout=120):
        deadline = time.monotonic() + timeout
        path = self.folder / "metrics.csv"
        while not path.exists() or path.read_bytes().count(b"\n") < number:
            assert self.process.poll() is None, self.process.stderr.read()
            assert time.monotonic() < deadline
            time.sleep(0.02)

    def end(self, timeout=60):
        """Return the exit code and the last line."""
        _, errors = self.process.communicate(timeout=timeout)
        return self.process.returncode, errors.strip().splitlines()[-1]


@pytest.fixture
def start(tmp_path):
    """Starts trainings, and leaves none behind."""
    running = []

    def begin(name, *arguments):
        running.append(Running(tmp_path / name, *arguments))
        return running[-1]

    yield begin
    for each in running:
        each.process.kill()
        each.process.communicate()


SETTINGS = (*TINY, *TINY_MODEL, "trainer.log_every_n_steps=1", "model.dropout=0.3")
PAIR = ("trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2", "data.batch_size=4")


@pytest.mark.parametrize(
    ("number", "ranks"),
    [
        pytest.param(signal.SIGINT, (), id="SIGINT", marks=pytest.mark.slow),
        pytest.param(signal.SIGTERM, (), id="SIGTERM"),
        pytest.param(signal.SIGTERM, PAIR, id="SIGTERM to two ranks", marks=pytest.mark.slow),
    ],
)
def test_a_signal_saves_and_the_run_goes_on_as_if_nothing_had_been(start, tmp_path, number, ranks):
    settings = [*SETTINGS, *ranks, "trainer.max_epochs=6"]
    run, whole = start("run", *settings, f"run_dir={tmp_path / 'run'}"), tmp_path / "whole"
    run.wait_for_rows(5)
    began = time.monotonic()
    run.process.send_signal(number)
    code, said = run.end()
    assert time.monotonic() - began < 10
    assert code == 128 + number
    assert said == f"stopped by {number.name}; go on with: python train.py resume=run"
    at = describe(run.folder / "checkpoints" / "last.ckpt")["progress"]
    assert at["step"] >= len(rows_of(run.folder)) // 2  # the step that was in work is saved
    resumed = start("run", "resume=run", "data.num_workers=2")
    assert resumed.end(timeout=240)[0] == 0
    ended = run_script("train.py", *settings, f"run_dir={whole}", cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert_same_end(whole, run.folder)


def test_a_signal_that_only_the_rank_has_got_is_no_accident(start, tmp_path):
    run = start("run", *SETTINGS, "trainer.max_epochs=30", f"run_dir={tmp_path / 'run'}")
    run.wait_for_rows(3)
    os.kill(children(run.process.pid)[0], signal.SIGTERM)
    code, said = run.end()
    assert (code, said) == (143, "stopped by SIGTERM; go on with: python train.py resume=run")


@pytest.mark.parametrize(
    "dies",
    [pytest.param(False, id="hangs", marks=pytest.mark.slow), pytest.param(True, id="dies")],
)
def test_a_loader_process_that_hangs_or_dies_ends_the_run_which_then_goes_on(start, tmp_path, dies):
    settings = [*SETTINGS, "trainer.max_epochs=30", "data.seconds_per_file=2", "data.num_workers=2"]
    run = start("run", *settings, f"run_dir={tmp_path / 'run'}", "checkpoint.every_n_steps=2")
    run.wait_for_rows(4)
    worker, path = stop_worker_on_a_file(run.process.pid)
    family = [worker, *children(children(run.process.pid)[0])]
    if dies:
        os.kill(worker, signal.SIGKILL)
    code, said = run.end()
    assert code == (7 if dies else 3), said
    assert "/".join(Path(path).parts[-3:]) in said
    assert ("it was reading" if dies else "has been read for more than 2 s") in said
    assert said.endswith("then go on with: python train.py resume=run")
    assert not [pid for pid in family if Path(f"/proc/{pid}").exists()]
    if dies:
        return
    code, said = start("run", "resume=run", "data.seconds_per_file=60").end(timeout=240)
    assert code == 0, said
    assert (run.folder / "results.json").exists()
