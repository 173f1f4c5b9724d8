"""What a user gets wrong ends with the right exit code and one sentence, before any model."""

import os
import shutil
import sys

import pytest

import evaluate as evaluate_script
import train as train_script
from tests.barcode import write_barcodes
from tests.conftest import TINY, TINY_MODEL, run_script, train_tiny
from tests.forked_runs import train_forked
from videoclf.config_errors import run_entry_point


def in_process(script, *arguments, monkeypatch, capfd):
    """Call an entry point as the shell would; return its exit code and its last line."""
    monkeypatch.setattr(sys, "argv", [script.__file__, *map(str, arguments)])
    task = getattr(script, "main", None) or script.train
    code = run_entry_point(task)
    return code, capfd.readouterr().err.strip().splitlines()[-1]


@pytest.fixture
def train(monkeypatch, capfd, tmp_path):
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: in_process(
        train_script, *arguments, monkeypatch=monkeypatch, capfd=capfd
    )


@pytest.fixture
def evaluate(monkeypatch, capfd, tmp_path):
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: in_process(
        evaluate_script, *arguments, monkeypatch=monkeypatch, capfd=capfd
    )


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    """Two classes of eight videos each."""
    root = tmp_path_factory.mktemp("videos")
    for name in ("jump", "run"):
        (root / name).mkdir()
        first = write_barcodes(root / name / "0.mp4", range(12), height=48, width=64)
        for number in range(1, 8):
            shutil.copy(first, root / name / f"{number}.mp4")
    return root


@pytest.fixture
def own_videos(videos, tmp_path):
    """A copy that a test may spoil."""
    return shutil.copytree(videos, tmp_path / "own")


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["sead=1"], 2, "there is no config key 'sead'; did you mean 'seed'?"),
        (["sed"], 2, "cannot parse 'sed'; write key=value"),
        (["model=slow_fuson"], 2, "did you mean 'slow_fusion'?"),
        (["data.batch_size=0"], 2, "data.batch_size=0 must be at least 1"),
        (["data.reader=decrod"], 2, "did you mean 'decord'?"),
        (["trainer=gpu"], 2, "no GPU is visible here"),
        (["trainer.precision=16-mixed"], 2, "16-mixed needs a GPU"),
        (["trainer.devices=0"], 2, "trainer.devices=0"),
        (["trainer.max_epochs=two"], 2, "trainer.max_epochs=two must be a whole number"),
        (["data.batch_size=abc"], 2, "data.batch_size=abc must be a whole number"),
        (["early_stopping.patience=1.5"], 2, "early_stopping.patience=1.5 must be a whole"),
        (["logger=null"], 2, "logger=null: a run needs one; valid names: csv, tensorboard, wandb"),
        (["resume=5"], 2, "/5 does not exist"),
        (["data=folder"], 3, "data.root is not set"),
        (
            ["data=folder", "data.root=/no/such/folder"],
            3,
            "data.root=/no/such/folder does not exist",
        ),
        (["data=ucf101", "data.root=/no/such"], 2, "data.annotations is not set"),
        (["data=csv", "data.annotations=/no/such.csv", "data.root=/"], 2, "/no/such.csv"),
        (["model._target_=os.system"], 2, "not on the list of what a config may build"),
    ],
)
def test_wrong_settings(train, arguments, code, sentence, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    if "model._target_=os.system" in arguments:
        arguments = [*TINY, *arguments]
    got, said = train(*arguments)
    assert (got, sentence in said) == (code, True), said
    assert said.startswith("error: ")


def test_an_empty_folder(train, tmp_path):
    (tmp_path / "empty").mkdir()
    code, said = train("data=folder", f"data.root={tmp_path / 'empty'}")
    assert code == 3
    assert str(tmp_path / "empty") in said


def test_a_class_without_videos(train, own_videos):
    (own_videos / "swim").mkdir()
    code, said = train("data=folder", f"data.root={own_videos}")
    assert code == 3
    assert "swim" in said


def test_a_label_outside_the_classes_and_an_unknown_split(train, shared_data):
    source = shared_data / "ucf101_three_classes"
    common = ["data=ucf101", f"data.root={source / 'videos'}"]
    code, said = train(*common, f"data.annotations={source / 'ucfTrainTestlist'}", "data.split=4")
    assert code == 2
    assert "split" in said


def test_a_missing_file_in_a_table(train, videos, tmp_path):
    table = tmp_path / "my.csv"
    rows = [f"{name}/{number}.mp4,{name}" for name in ("jump", "run") for number in range(8)]
    table.write_text("\n".join(["path,label", *rows, "jump/99.mp4,jump"]))
    code, said = train("data=csv", f"data.annotations={table}", f"data.root={videos}")
    assert (code, "jump/99.mp4" in said) == (3, True), said


def test_several_labels_of_one_video(train, videos, tmp_path):
    table = tmp_path / "my.csv"
    rows = [f"{name}/{number}.mp4,jump|run" for name in ("jump", "run") for number in range(8)]
    table.write_text("\n".join(["path,label", *rows]))
    code, said = train("data=csv", f"data.annotations={table}", f"data.root={videos}")
    assert (code, "several labels to one video" in said) == (2, True), said


@pytest.mark.parametrize(
    "content",
    [
        b"<html>not a video</html>",
        pytest.param(b"", marks=pytest.mark.slow),
        pytest.param(os.urandom(4000), marks=pytest.mark.slow),
    ],
    ids=["html", "empty", "noise"],
)
def test_an_unreadable_video_stops_the_run_and_is_named(own_videos, tmp_path, content):
    for name in ("jump", "run"):
        for number in range(8):
            (own_videos / name / f"{number}.mp4").write_bytes(content)
    settings = [
        *TINY[6:],
        *TINY_MODEL,
        "data=folder",
        f"data.root={own_videos}",
        "data.batch_size=4",
    ]
    finished = run_script("train.py", *settings, f"run_dir={tmp_path / 'run'}", cwd=tmp_path)
    said = finished.stderr.strip().splitlines()[-1]
    assert finished.returncode == 3, finished.stderr
    assert ".mp4" in said
    assert "data.max_unreadable=N" in said
    assert "Traceback" not in finished.stderr


def test_unreadable_videos_are_left_out_and_listed_on_request(own_videos, tmp_path):
    table = tmp_path / "my.csv"
    rows = [f"{c}/{n}.mp4,{c},{s}" for c in ("jump", "run") for n, s in enumerate("tttttvee")]
    names = {",t": ",train", ",v": ",val", ",e": ",test"}
    rows = [row[:-2] + names[row[-2:]] for row in rows]
    table.write_text("path,label,subset\n" + "\n".join(rows) + "\n")
    for broken in ("jump/1.mp4", "run/7.mp4"):
        (own_videos / broken).write_bytes(b"")
    finished = run_script(
        "train.py",
        *TINY[6:],
        *TINY_MODEL,
        "data=csv",
        f"data.annotations={table}",
        f"data.root={own_videos}",
        "data.batch_size=4",
        "data.max_unreadable=2",
        f"run_dir={tmp_path / 'run'}",
        cwd=tmp_path,
    )
    assert finished.returncode == 0, finished.stderr
    listed = (tmp_path / "run" / "skipped.jsonl").read_text()
    assert "run/7.mp4" in listed
    results = (tmp_path / "run" / "results.json").read_text()
    assert '"missing": 1' in results
    assert "_listed" in results


def test_a_checkpoint_of_other_classes(evaluate, trained_run, videos):
    checkpoint = trained_run / "checkpoints" / "best.ckpt"
    code, said = evaluate(f"checkpoint={checkpoint}", "data=folder", f"data.root={videos}")
    assert code == 5
    assert "not jump, run of the data" in said


def test_a_damaged_or_missing_checkpoint(evaluate, trained_run, tmp_path):
    content = (trained_run / "checkpoints" / "best.ckpt").read_bytes()
    (tmp_path / "cut.ckpt").write_bytes(content[:-10])
    code, said = evaluate(f"checkpoint={tmp_path / 'cut.ckpt'}")
    assert (code, "cut.ckpt" in said) == (5, True), said
    code, said = evaluate(f"checkpoint={tmp_path / 'none.ckpt'}")
    assert (code, "no checkpoint at" in said) == (5, True), said


def test_wrong_keys_of_an_evaluation(evaluate, trained_run):
    checkpoint = f"checkpoint={trained_run / 'checkpoints' / 'best.ckpt'}"
    code, said = evaluate(checkpoint, "views.num_clip=3")
    assert (code, "did you mean 'views.num_clips'?" in said) == (2, True), said
    code, said = evaluate(checkpoint, "subset=tset")
    assert (code, "did you mean 'test'?" in said) == (2, True), said


def test_an_evaluation_of_no_videos(evaluate, trained_run, videos, tmp_path):
    checkpoint = f"checkpoint={trained_run / 'checkpoints' / 'best.ckpt'}"
    data = ("data=folder", f"data.root={videos}", "data.test_fraction=0")
    code, said = evaluate(checkpoint, *data)
    assert (code, "the data have no test videos (train" in said) == (2, True), said


def test_an_evaluation_that_cannot_be_written(evaluate, trained_run, tmp_path):
    checkpoint = f"checkpoint={trained_run / 'checkpoints' / 'best.ckpt'}"
    (tmp_path / "file").touch()
    code, said = evaluate(checkpoint, f"run_dir={tmp_path / 'file' / 'run'}")
    assert (code, "cannot make the run folder" in said) == (6, True), said
    assert str(tmp_path / "file" / "run") in said


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["views.crop_pixels=64"], "a test crop of 64 pixels does not fit into a short side of 32"),
        (["sampler.num_frames=1"], "temporal strides need 2 frames, not 1"),
        (["inference.share_frames=true"], "SlowFusion on data.modalities=['rgb'] does not encode"),
    ],
)
def test_views_that_the_files_or_the_network_do_not_allow(
    evaluate, trained_run, arguments, sentence
):
    checkpoint = f"checkpoint={trained_run / 'checkpoints' / 'best.ckpt'}"
    code, said = evaluate(checkpoint, *arguments)
    assert (code, sentence in said) == (2, True), said


def test_a_metric_that_does_not_exist_is_refused_before_the_first_step(tmp_path):
    said = train_forked(tmp_path / "run", "checkpoint.monitor=val/video_top7_1x1", code=2)
    last = said.strip().splitlines()[-1]
    assert "val/video_top7_1x1 is not measured; did you mean 'val/video_top5_1x1'?" in last
    assert "epoch 1/1" not in said


def test_data_without_validation_videos(train, videos, tmp_path):
    table = tmp_path / "my.csv"
    rows = [f"{name}/{number}.mp4,{name},train" for name in ("jump", "run") for number in range(8)]
    table.write_text("\n".join(["path,label,subset", *rows]))
    code, said = train(
        "data=csv", f"data.annotations={table}", f"data.root={videos}", "data.val_fraction=0"
    )
    assert (code, "no val videos (train 16, val 0, test 0)" in said) == (2, True), said


def test_no_checkpoint_or_several(evaluate):
    code, said = evaluate("views.num_clips=2")
    assert (code, "checkpoint is not set" in said) == (2, True), said
    code, said = evaluate("checkpoint=[a.ckpt,b.ckpt]")
    assert (code, "no checkpoint at a.ckpt" in said) == (5, True), said
    code, said = evaluate("checkpoint=[]")
    assert (code, "names no checkpoint" in said) == (2, True), said


def test_a_run_folder_that_is_taken_or_cannot_be_made(train, tmp_path):
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "file").touch()
    code, said = train(*TINY, f"run_dir={tmp_path / 'taken'}")
    assert (code, "is not empty" in said) == (2, True), said
    code, said = train(*TINY, f"run_dir={tmp_path / 'taken' / 'file' / 'run'}")
    assert (code, "cannot make the run folder" in said) == (6, True), said


def test_a_loss_that_is_not_finite_stops_the_run(tmp_path):
    finished = train_tiny(tmp_path / "run", "optimizer.learning_rate=1e30", "trainer.max_epochs=3")
    said = finished.stderr.strip().splitlines()[-1]
    assert finished.returncode == 4, finished.stderr
    assert "finite" in said or "the loss is nan" in said
    assert "optimizer.learning_rate" in said


def test_config_errors_leave_no_folder_behind(train, tmp_path):
    train("data.batch_size=0")
    assert not (tmp_path / "runs").exists() or not any((tmp_path / "runs").rglob("*/*"))


def test_a_traceback_is_shown_on_request(tmp_path):
    finished = run_script(
        "train.py", "sead=1", cwd=tmp_path, environment={"VIDEOCLF_TRACEBACK": "1"}
    )
    assert "Traceback" in finished.stderr
