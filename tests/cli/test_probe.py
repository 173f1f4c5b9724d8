import io
import json

import pytest
import torch

from videoclf import checkpoint_file, cli
from videoclf.checkpoints import load
from videoclf.cli.trained import MULTI_LABEL_TASK


@pytest.fixture(scope="module")
def checkpoint(trained_run):
    return trained_run / "checkpoints" / "best.ckpt"


def probe(*words):
    return cli.main(["probe", *map(str, words)])


def test_a_trained_network(trained_run, checkpoint, tmp_path, capsys):
    numbers, picture = tmp_path / "out" / "probe.json", tmp_path / "probe.svg"
    words = ["data.num_workers=0", "--json", numbers, "--picture", picture]
    assert probe(checkpoint, *words) == 0
    said = capsys.readouterr().out
    found = json.loads(numbers.read_text(encoding="utf-8"))
    results = json.loads((trained_run / "results.json").read_text(encoding="utf-8"))
    # plain clips are what the run's own test saw, by the same views
    assert found["protocol"] == "test/video_top1_2x1"
    assert found["top1"]["plain"]["value"] == results["metrics"]["test/video_top1_2x1"]
    assert found["num_videos"] == 16
    assert found["said"] in said
    assert "single frames" in said
    assert picture.read_text(encoding="utf-8").startswith("<svg")


def test_mistakes(checkpoint, tmp_path, capsys):
    for words, code, message in (
        ((checkpoint, "--subset", "tset"), 2, "--subset=tset is none of train, val, test"),
        ((checkpoint, "views.num_clip=1"), 2, "there is no config key 'views.num_clip'"),
        (("none.ckpt",), 5, "no checkpoint at none.ckpt"),
        ((checkpoint, "data=folder", f"data.root={tmp_path}/none"), 3, "does not exist"),
    ):
        assert probe(*words) == code
        assert message in capsys.readouterr().err.splitlines()[-1]


def test_another_task_is_refused(checkpoint, tmp_path, capsys):
    description = checkpoint_file.describe(checkpoint)
    description["config"]["task"]["_target_"] = MULTI_LABEL_TASK
    content = io.BytesIO()
    torch.save(load(checkpoint), content)
    checkpoint_file.write(content, tmp_path / "other.ckpt", description)
    assert probe(tmp_path / "other.ckpt") == 2
    assert "which gives several labels at once" in capsys.readouterr().err
