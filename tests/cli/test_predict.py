import csv
import json
import os
import signal
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import yaml

from tests.conftest import PROJECT
from videoclf import cli
from videoclf.predicting import stored, watching
from videoclf.reports.predictions import read_predictions


@pytest.fixture(scope="module")
def checkpoint(trained_run):
    return trained_run / "checkpoints" / "best.ckpt"


@pytest.fixture(scope="module")
def root(trained_run):
    config = yaml.safe_load((trained_run / "config.yaml").read_text(encoding="utf-8"))
    return Path(config["data"]["root"])


@pytest.fixture(scope="module")
def video(root):
    return min(root.glob("test/*/*.mp4"))


def predict(*words):
    return cli.main(["predict", *map(str, words)])


def test_a_table_with_what_is_unreadable(checkpoint, video, tmp_path, capsys):
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no video at all")
    assert predict(checkpoint, video, broken, tmp_path / "none.mp4") == 3
    said = capsys.readouterr()
    lines = said.out.splitlines()
    assert lines[0].split() == ["video", "label", "then"]
    assert lines[1].startswith(str(video))
    assert lines[1].count("%") == 5
    assert "unreadable" in lines[2]
    assert "does not begin like any known video container" in lines[2]
    assert "does not exist" in lines[3]
    assert said.err.splitlines()[-1].startswith("error: 2 of 3 videos cannot be read: ")


def test_a_json_a_line(checkpoint, video, tmp_path, capsys):
    assert predict(checkpoint, video, tmp_path / "none.mp4", "--json", "views.num_clips=1") == 3
    found, missing = map(json.loads, capsys.readouterr().out.splitlines())
    assert found["path"] == str(video)
    assert [found["label"], found["probability"]] == found["top"][0]
    assert len(found["top"]) == 5
    assert missing == {"path": str(tmp_path / "none.mp4"), "error": "does not exist"}


def test_parquet_is_what_an_evaluation_stores_and_goes_on_where_it_was(
    checkpoint, trained_run, root, tmp_path, capsys, monkeypatch
):
    out = tmp_path / "out" / "p.parquet"
    words = [checkpoint, root / "test", "-o", out, "data.num_workers=0"]
    whole = stored.Predictor.predict_rows

    def stopped_after_five(self, manifest, folder, rows):
        for number, found in enumerate(whole(self, manifest, folder, rows)):
            if number == 5:
                os.kill(os.getpid(), signal.SIGTERM)
            yield found

    monkeypatch.setattr(stored.Predictor, "predict_rows", stopped_after_five)
    with pytest.raises(SystemExit, match="143"):
        predict(*words)
    assert not out.exists()
    assert "the same command goes on from here" in capsys.readouterr().err
    asked = []

    def noting(self, manifest, folder, rows):
        asked.extend(rows.tolist())
        return whole(self, manifest, folder, rows)

    monkeypatch.setattr(stored.Predictor, "predict_rows", noting)
    assert predict(*words) == 0
    said = capsys.readouterr()
    assert "going on with the run of" in said.err
    assert f"{out}: 16 of 16 videos" in said.out
    assert asked == list(range(5, 16))
    assert [path.name for path in out.parent.iterdir()] == ["p.parquet"]
    found = read_predictions(out)
    evaluated = read_predictions(trained_run / "predictions.parquet")
    assert found.class_names == evaluated.class_names
    rows = [evaluated.paths.index(f"test/{path}") for path in found.paths]
    np.testing.assert_allclose(found.probabilities, evaluated.probabilities[rows], atol=1e-5)
    assert found.labels == [()] * 16


def test_parquet_of_a_table_keeps_labels_and_lists_what_is_missing(
    checkpoint, root, tmp_path, capsys
):
    path = min(root.glob("test/*/*.mp4")).relative_to(root)
    table = tmp_path / "list.csv"
    table.write_text(f"path,label,start,end\n{path},up,0,0.2\nnone.mp4,left,,\n", encoding="utf-8")
    out = tmp_path / "p.parquet"
    assert predict(checkpoint, table, "--root", root, "-o", out) == 3
    assert "1 of 2 videos cannot be read: none.mp4: does not exist" in capsys.readouterr().err
    found = read_predictions(out)
    assert found.available.tolist() == [True, False]
    assert [found.class_names[labels[0]] for labels in found.labels] == ["up", "left"]
    assert (found.starts, found.ends) == ([0.0, None], [0.2, None])


def test_a_timeline_s_files(checkpoint, video, tmp_path, capsys):
    words = ["--timeline", "--window", "0.16", "--stride", "0.08", "-o", tmp_path]
    assert predict(checkpoint, video, *words) == 0
    assert ": 3 windows, " in capsys.readouterr().out  # of 0.32 s
    place = tmp_path / video.stem
    with Path(f"{place}.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0][:5] == ["start_seconds", "end_seconds", "label", "probability", "left"]
    assert [row[:2] for row in rows[1:]] == [
        ["0.000", "0.160"],
        ["0.080", "0.240"],
        ["0.160", "0.320"],
    ]
    for row in rows[1:]:
        values = [float(value) for value in row[4:]]
        assert sum(values) == pytest.approx(1, abs=1e-4)
        assert row[2:4] == [rows[0][4 + int(np.argmax(values))], f"{max(values):.6f}"]
    found = json.loads(Path(f"{place}.json").read_text(encoding="utf-8"))
    assert (found["num_windows"], found["video"]) == (3, str(video))
    assert found["segments"][0]["start"] == 0
    assert found["segments"][-1]["end"] == pytest.approx(0.32)
    assert Path(f"{place}.srt").read_text("utf-8").startswith("1\n00:00:00,000 --> ")
    assert Path(f"{place}.vtt").read_text("utf-8").startswith("WEBVTT\n\n00:00:00.000 --> ")
    assert Path(f"{place}.svg").read_text("utf-8").startswith("<svg")


def test_a_window_longer_than_the_video_is_said(checkpoint, video, tmp_path, capsys):
    words = [video, "none.mp4", "--timeline", "--window", "9", "-o", tmp_path]
    assert predict(checkpoint, *words) == 3
    said = capsys.readouterr()
    assert "is 0.32 s long, shorter than a window of 9 s; it is one window" in said.err
    assert "1 windows, 1 segments in 0.3 s" in said.out
    assert "1 of 2 videos cannot be read: none.mp4: does not exist" in said.err


def test_a_folder_is_watched_until_ctrl_c(checkpoint, video, tmp_path, capsys, monkeypatch):
    (tmp_path / "a.mp4").write_bytes(video.read_bytes())
    (tmp_path / "b.mp4").write_bytes(b"no video at all")
    looks = []

    def sleep(seconds):
        looks.append(seconds)
        if len(looks) == 3:  # both are done in the second look
            os.kill(os.getpid(), signal.SIGINT)

    # the module's own clock: threads of others sleep too
    monkeypatch.setattr(watching, "time", SimpleNamespace(sleep=sleep))
    with pytest.raises(SystemExit, match="130"):
        predict(checkpoint, tmp_path, "--watch", "--interval", "0.1")
    assert looks == [0.1] * 3
    said = capsys.readouterr()
    found, broken = map(json.loads, said.out.splitlines())
    assert (found["path"], len(found["top"])) == (str(tmp_path / "a.mp4"), 5)
    assert broken["error"] == "does not begin like any known video container"
    assert said.err.endswith(f"error: stopped by SIGINT; {tmp_path} is no longer watched\n")


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["views.num_clips=2"], 2, "no video is named; give files, folders or a table"),
        (["EMPTY"], 3, "holds no videos"),
        (["none.csv"], 2, "none.csv does not exist"),
        (["VIDEO", "views.num_clip=2"], 2, "there is no config key 'views.num_clip'"),
        (["VIDEO", "--window", "2"], 2, "--window=2 is for --timeline; give that too"),
        (["VIDEO", "--timeline", "--stride", "0"], 2, "--stride=0 must be above 0 seconds"),
        (["VIDEO", "--timeline", "--watch"], 2, "give one of them"),
        (["VIDEO", "--watch"], 3, "--watch takes one folder"),
        (["EMPTY", "--watch", "-o", "x"], 2, "--output=x is not for --watch"),
        (["VIDEO", "-o", "EMPTY"], 2, "is a folder; name a file such as out.parquet"),
        (["VIDEO", "-o", "/proc/nowhere/p.parquet"], 6, "cannot make /proc/nowhere"),
        (["VIDEO", "--timeline", "-o", "/proc/nowhere"], 6, "cannot write /proc/nowhere/"),
    ],
)
def test_mistakes_are_said(checkpoint, video, tmp_path, capsys, words, code, message):
    names = {"VIDEO": video, "EMPTY": tmp_path}
    assert predict(checkpoint, *(names.get(word, word) for word in words)) == code
    assert message in capsys.readouterr().err.strip().splitlines()[-1]


def test_files_that_are_no_checkpoint(video, capsys):
    assert predict("none.ckpt", video) == 5
    assert "no checkpoint at none.ckpt" in capsys.readouterr().err
    assert predict(PROJECT / "README.md", video) == 5
    assert "carries no hash" in capsys.readouterr().err
