import json
import sys
from types import SimpleNamespace

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from torch import nn
from torch.nn import functional as F

import train as train_script
from tests.conftest import run_script
from tests.forked_runs import fork_training
from tests.resuming import assert_same_end, fit, start_folder
from videoclf.config_errors import run_entry_point
from videoclf.generated.encode import write_video
from videoclf.optimizers import AdamW
from videoclf.reports.metrics_csv import read_metrics
from videoclf.tasks.multi_label import MultiLabelClassification
from videoclf.types import Batch, Mix

COLOURS = ("red", "green", "blue")
RUN = (
    "data.batch_size=7",
    "data.num_workers=1",
    "sampler.num_frames=4",
    "transform.resize_pixels=32",
    "transform.crop_pixels=32",
    "transform.mixing.probability=0.3",
    "trainer.max_epochs=3",
    "views.num_clips=2",
    "views.average=max",
)


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """Grey videos with one, two or three bright colours, which are their labels."""
    folder = tmp_path_factory.mktemp("colours")
    kinds = [(0,), (1,), (2,), (0, 1), (1, 2), (0, 2), (0, 1, 2)]
    lines = ["path,labels,subset"]
    for number in range(35):
        shown = kinds[number % len(kinds)]
        subset = "test" if number >= 28 else "val" if number >= 21 else "train"
        frames = np.full((8, 32, 32, 3), 40 + number, np.uint8)
        frames[..., list(shown)] = 220
        write_video(folder / f"{number}.mp4", frames, frames_per_second=8)
        lines.append(f"{number}.mp4,{'|'.join(COLOURS[k] for k in shown)},{subset}")
    (folder / "colours.csv").write_text("\n".join(lines))
    return folder / "colours.csv"


def settings(table):
    return (
        "data=csv",
        f"data.annotations={table}",
        "model=toy_late_fusion",
        "task=multi_label",
        "optimizer.learning_rate=0.02",
        "transform=plain",
        "trainer=cpu",
    )


@pytest.fixture(scope="module")
def trained(table, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "trained"
    fork_training(folder, *settings(table), *RUN)
    return folder


class Colours(nn.Module):
    """Mean colour -> logits."""

    def __init__(self):
        super().__init__()
        self.classifier = nn.Linear(3, 3)

    def forward(self, rgb):
        return self.classifier(rgb.mean((2, 3, 4)))


def task(**changes):
    torch.manual_seed(0)
    chosen = {"loss": "binary_cross_entropy", "focal_gamma": 2.0, **changes}
    made = MultiLabelClassification(
        model=Colours(),
        optimizer=AdamW(
            learning_rate=0.1,
            weight_decay=0.0,
            head_learning_rate_factor=1.0,
            layer_decay=1.0,
            warmup_fraction=0.0,
            final_fraction=0.0,
            betas=(0.9, 0.99),
        ),
        num_classes=3,
        max_unreadable=0,
        **chosen,
    )
    made.log = made.log_dict = lambda *arguments, **settings: None
    made.trainer = SimpleNamespace(optimizers=[torch.optim.SGD(made.parameters(), lr=0.1)])
    return made


def batch():
    return Batch(
        inputs={"rgb": torch.randn(4, 3, 2, 8, 8)},
        labels=torch.tensor([[0, 2], [1, -1]]),
        epochs=torch.zeros(2, dtype=torch.int64),
        indices=torch.arange(2),
        num_views=2,
    )


def test_the_loss_is_the_binary_cross_entropy_of_each_class():
    made, given = task(), batch()
    targets = torch.tensor([[1.0, 0, 1], [1, 0, 1], [0, 1, 0], [0, 1, 0]])
    expected = F.binary_cross_entropy_with_logits(made.model(**given.inputs), targets)
    torch.testing.assert_close(made.training_step(given, 0), expected)


def test_smoothed_targets_lie_nearer_to_a_half():
    made, given = task(label_smoothing=0.2), batch()
    targets = torch.tensor([[0.9, 0.1, 0.9]] * 2 + [[0.1, 0.9, 0.1]] * 2)
    expected = F.binary_cross_entropy_with_logits(made.model(**given.inputs), targets)
    torch.testing.assert_close(made.training_step(given, 0), expected)


def test_targets_are_mixed_as_the_clips_were():
    given = batch()
    mix = Mix(torch.tensor([2, 1, 0, 3]), torch.tensor([0.25, 1.0, 0.5, 1.0]))
    targets = task()._targets(given.with_inputs(given.inputs, mix))
    expected = [[0.25, 0.75, 0.25], [1, 0, 1], [0.5, 0.5, 0.5], [0, 1, 0]]
    torch.testing.assert_close(targets, torch.tensor(expected))


def test_a_focal_loss_is_smaller_where_something_is_known():
    given = batch()
    plain, focal = (task(loss=name).training_step(given, 0) for name in task().LOSSES)
    assert 0 < focal < plain


def test_another_loss_is_refused():
    with pytest.raises(ValueError, match="task.loss='cross_entropy' must be one of binary_cross_"):
        task(loss="cross_entropy")


def test_a_run_learns_the_colours(trained):
    results = json.loads((trained / "results.json").read_text())
    assert list(results["metrics"]) == ["test/video_map_2x1_max"]
    assert results["metrics"]["test/video_map_2x1_max"] > 0.9
    assert results["protocol"]["activation"] == "sigmoid"
    curves = read_metrics(trained / "metrics.csv")
    assert {"val/video_map_1x1", "val/video_loss", "train/clip_map"} <= set(curves)
    table = pq.read_table(trained / "predictions.parquet")
    assert max(len(labels) for labels in table["label"].to_pylist()) == 3
    assert max(sum(row) for row in table["probabilities"].to_pylist()) > 1.5  # no softmax
    assert "mAP" in (trained / "report.html").read_text()


def test_a_checkpoint_is_evaluated_as_it_was_trained(trained, tmp_path):
    checkpoint = trained / "checkpoints" / "best.ckpt"
    finished = run_script(
        "evaluate.py",
        f"checkpoint={checkpoint}",
        "views.num_clips=2",
        "views.average=max",
        f"run_dir={tmp_path / 'again'}",
        cwd=tmp_path,
    )
    assert finished.returncode == 0, finished.stderr
    first, second = (
        json.loads((folder / "results.json").read_text())
        for folder in (trained, tmp_path / "again")
    )
    assert first["metrics"] == second["metrics"]


def test_a_stopped_run_goes_on_bit_by_bit(trained, tmp_path):
    changes = {"trainer__max_epochs": 2}
    whole = start_folder(trained, tmp_path / "whole", **changes)
    assert not fit(whole, num_workers=0)
    broken = start_folder(trained, tmp_path / "broken", **changes)
    assert fit(broken, num_workers=0, stop_at=(1, 1))
    last = broken / "checkpoints" / "last.ckpt"
    assert not fit(broken, num_workers=0, resume_from=last)
    assert_same_end(whole, broken)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("task=classification", "set task=multi_label, choose one by data.label_column"),
        ("views.activation=softmax", "views.activation=softmax gives one label a video"),
    ],
)
def test_what_cannot_go_together_is_refused(table, tmp_path, monkeypatch, capfd, change, said):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [train_script.__file__, *settings(table), change])
    assert run_entry_point(train_script.train) == 2
    assert said in capfd.readouterr().err.strip().splitlines()[-1]
