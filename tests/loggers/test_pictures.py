"""Curves, the confusion matrix and mistakes in TensorBoard and W&B, of a real run."""

import json

import numpy as np
import pytest

from tests.conftest import train_tiny
from videoclf.loggers.csv import CsvLogger
from videoclf.loggers.pictures import log_evaluation, on_white, side_by_side
from videoclf.reports.charts import matrix_png


@pytest.fixture(scope="module")
def seen(tmp_path_factory):
    """A run with both loggers; W&B online, without a network, at an address that answers nobody."""
    folder = tmp_path_factory.mktemp("runs") / "seen"
    finished = train_tiny(
        folder,
        "logger=wandb",
        "+logger.tensorboard._target_=videoclf.loggers.tensorboard.TensorBoard",
        "+logger.tensorboard.folder=${run_dir}",
        "logger.wandb.mode=online",
        environment={"WANDB_API_KEY": "0" * 40, "WANDB_BASE_URL": "http://127.0.0.1:9"},
    )
    assert finished.returncode == 0, finished.stderr
    return folder, finished.stderr


def test_tensorboard_has_curves_and_pictures(seen):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    events = accumulator.EventAccumulator(str(seen[0] / "tensorboard"))
    events.Reload()
    tags = events.Tags()
    assert {"train/loss", "val/video_top1_1x1", "pace/clips_per_second"} <= set(tags["scalars"])
    assert {"pace/data_wait_share", "test/video_top1_2x1"} <= set(tags["scalars"])
    assert {"test/confusion", "test/mistake_1"} <= set(tags["images"])


def test_a_run_that_does_not_reach_wandb_goes_on_offline_and_says_so(seen):
    folder, said = seen
    assert "warning: W&B is not reached (" in said
    assert said.index("this run goes on offline") < said.index("epoch 1/1")
    (run,) = (folder / "wandb").glob("offline-run-*")
    assert list(run.glob("*.wandb"))
    pictures = [path.name for path in (run / "files" / "media" / "images" / "test").iterdir()]
    assert sorted(name.partition("_")[0] for name in pictures) == ["confusion"] + ["mistake"] * 4
    metrics = json.loads((folder / "results.json").read_text())["metrics"]
    assert "test/video_top1_2x1" in metrics


def test_without_such_loggers_nothing_is_read(tmp_path):
    logger = CsvLogger(folder=str(tmp_path))
    log_evaluation([logger], tmp_path, metrics={"a": 1.0}, root=tmp_path, step=0)
    assert not list(tmp_path.iterdir())


def test_pictures_are_on_white_with_grey_gaps():
    picture = on_white(matrix_png(np.eye(2), (0, 0, 0), (255, 0, 0), min_pixels=4))
    assert picture.shape == (4, 4, 3)
    assert picture[0, 0].max() == 0
    assert picture[0, 3].min() == 255
    strip = side_by_side(np.zeros((3, 4, 5, 3), np.uint8))
    assert strip.shape == (4, 3 * 5 + 2 * 3, 3)
    assert strip[0, 5].tolist() == [128] * 3
