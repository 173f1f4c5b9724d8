"""A killed evaluate.py goes on where it was; what would mix two evaluations is refused by name."""

import os
import shutil
import signal
import subprocess
import sys
import time

import pyarrow.parquet as pq
import pytest
import yaml

import evaluate as evaluate_script
from tests.conftest import PROJECT, run_script
from tests.forked_runs import evaluate_forked
from tests.resuming import start_folder
from tests.test_bad_input import in_process
from videoclf.reports.results import Results

#: each video of the 16 is a part, and takes a while
SETTINGS = (
    "views.num_clips=8",
    "views.num_crops=5",
    "transform.resize_pixels=40",
    "data.batch_size=8",
    "inference.save_every_seconds=0",
)


@pytest.fixture(scope="module")
def checkpoint(trained_run):
    return trained_run / "checkpoints" / "best.ckpt"


@pytest.fixture(scope="module")
def whole(killed, tmp_path_factory):
    folder = start_folder(killed, tmp_path_factory.mktemp("evaluations") / "whole")
    evaluate_forked(folder, 1)
    return folder


@pytest.fixture(scope="module")
def killed(checkpoint, tmp_path_factory):
    """The folder of an evaluation that SIGKILL has ended after a few of its videos."""
    folder = tmp_path_factory.mktemp("evaluations") / "killed"
    command = [sys.executable, str(PROJECT / "evaluate.py"), f"checkpoint={checkpoint}"]
    process = subprocess.Popen(
        [*command, f"run_dir={folder}", *SETTINGS],
        cwd=folder.parent,
        start_new_session=True,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 200
    while len(list(folder.glob("parts/[0-9]*.part"))) < 2:
        assert process.poll() is None, "it ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.002)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    wait_for_ranks(folder)
    assert not (folder / "results.json").exists()
    return folder


def wait_for_ranks(folder):
    """The rank dies with the process that has started it, a moment later."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        alive = subprocess.run(["pgrep", "-f", f"videoclf.run evaluate {folder}"], check=False)
        if alive.returncode:
            return
        time.sleep(0.05)
    raise AssertionError("a rank is still at work")


def copied(killed, tmp_path):
    folder = tmp_path / "moved"
    shutil.copytree(killed, folder)
    return folder


def test_a_killed_evaluation_goes_on_with_other_batches_and_ranks(whole, killed, tmp_path):
    folder = copied(killed, tmp_path)
    parts = sorted(folder.glob("parts/[0-9]*.part"))
    content = bytearray(parts[0].read_bytes())
    content[len(content) // 2] ^= 1
    parts[0].write_bytes(content)
    finished = run_script(
        "evaluate.py",
        f"resume={folder}",
        "data.batch_size=3",
        "trainer.devices=2",
        "trainer.accelerator=cpu",
        cwd=tmp_path,
    )
    assert finished.returncode == 0, finished.stderr
    assert f"{parts[0].name} is damaged; its videos are evaluated again" in finished.stderr
    assert f"from {len(parts) - 1} stored part(s)" in finished.stderr
    found, expected = Results.load(folder / "results.json"), Results.load(whole / "results.json")
    assert found.counts == expected.counts == {"expected": 16, "evaluated": 16, "missing": 0}
    assert found.metrics == pytest.approx(expected.metrics, abs=1e-6)
    assert found.intervals == expected.intervals
    assert found.views_curve == expected.views_curve
    mine, theirs = (pq.read_table(f / "predictions.parquet") for f in (folder, whole))
    assert mine.drop_columns("probabilities") == theirs.drop_columns("probabilities")
    pairs = zip(mine["probabilities"].to_pylist(), theirs["probabilities"].to_pylist(), strict=True)
    for row, other in pairs:
        assert row == pytest.approx(other, abs=1e-6)
    assert not (folder / "parts").exists()
    again = run_script("evaluate.py", f"resume={folder}", cwd=tmp_path)
    assert again.returncode == 0
    assert "is finished already" in again.stdout


@pytest.fixture
def go_on(monkeypatch, capfd, tmp_path):
    """Call `evaluate.py resume=...` in this process; return its exit code and its last line."""
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: in_process(
        evaluate_script, *arguments, monkeypatch=monkeypatch, capfd=capfd
    )


@pytest.mark.parametrize(
    ("change", "code", "name"),
    [
        (lambda config, _: config["views"].update(num_clips=3), 2, "views"),
        (lambda config, _: config["manifest"].update(sha256="0" * 64), 3, "manifest"),
        (lambda config, run: config.update(checkpoint_file=f"{run}/last.ckpt"), 5, "checkpoint"),
    ],
    ids=["protocol", "manifest", "checkpoint"],
)
def test_parts_of_another_evaluation_are_refused_by_name(
    go_on, killed, trained_run, tmp_path, change, code, name
):
    folder = copied(killed, tmp_path)
    config = yaml.safe_load((folder / "config.yaml").read_text())
    change(config, trained_run / "checkpoints")
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    got, said = go_on(f"resume={folder}")
    assert (got, f"were evaluated with another {name} than" in said) == (code, True), said


@pytest.mark.parametrize(
    ("argument", "says"),
    [
        ("views.num_clips=3", "views.num_clips cannot be set beside resume"),
        ("data.num_worker=1", "its own settings (did you mean 'data.num_workers'?); leave it out"),
        ("-m", "as settings"),
    ],
)
def test_what_would_change_the_result_is_refused(go_on, killed, argument, says):
    code, said = go_on(f"resume={killed}", argument)
    assert (code, says in said) == (2, True), said


def test_other_folders_are_refused(go_on, trained_run, tmp_path):
    code, said = go_on(f"resume={trained_run}")
    assert (code, "train.py resume=" in said) == (2, True), said
    code, said = go_on(f"resume={tmp_path / 'none'}")
    assert (code, "does not exist" in said) == (2, True), said
