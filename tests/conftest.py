"""What all tests share: a cache folder of their own, and one small training run."""

import gc
import os
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[1]
#: a data set that is drawn in a second, and a model that trains on it in a few
TINY = (
    "data.num_train=32",
    "data.num_val=8",
    "data.num_test=16",
    "data.size_pixels=32",
    "data.num_frames=8",
    "data.batch_size=8",
    "data.num_workers=1",
    "sampler.num_frames=4",
    "transform.resize_pixels=32",
    "transform.crop_pixels=32",
    "trainer.max_epochs=1",
    "views.num_clips=2",
)
TINY_MODEL = ("model.widths=[4,8]", "model.temporal_strides=[1,2]")


def pytest_collection_finish():
    """What is imported and collected by now stays; Python looks through it for garbage no more."""
    gc.freeze()


def pytest_sessionfinish():
    """Some extensions complain of what is left at the end."""
    gc.unfreeze()


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory):
    """Manifests, indexes and drawn videos of the tests stay out of the user's cache."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VIDEOCLF_CACHE", str(folder))
        yield folder


def run_script(script, *arguments, cwd, environment=None):
    """Run train.py or evaluate.py as a user would; return the finished process."""
    return subprocess.run(
        [sys.executable, str(PROJECT / script), *map(str, arguments)],
        cwd=cwd,
        env={**os.environ, **(environment or {})},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


def train_tiny(folder, *arguments, cwd=None, environment=None):
    """Train on the tiny data set into a run folder; return the finished process."""
    settings = [*TINY, *TINY_MODEL] if not any("model=" in a for a in arguments) else TINY
    return run_script(
        "train.py",
        *settings,
        f"run_dir={folder}",
        *arguments,
        cwd=cwd or folder.parent,
        environment=environment,
    )


@pytest.fixture(scope="session")
def training(tmp_path_factory):
    """One finished training run: its folder, and its stderr with a line for each import."""
    folder = tmp_path_factory.mktemp("runs") / "trained"
    finished = train_tiny(folder, environment={"PYTHONPROFILEIMPORTTIME": "1"})
    assert finished.returncode == 0, finished.stderr
    return folder, finished.stderr


@pytest.fixture(scope="session")
def trained_run(training):
    """The folder of one finished training run."""
    return training[0]


@pytest.fixture(scope="session")
def other_run(tmp_path_factory):
    """The same of another seed."""
    from tests.forked_runs import train_forked

    folder = tmp_path_factory.mktemp("runs") / "other"
    train_forked(folder, "seed=1")
    return folder


@pytest.fixture(scope="session")
def shared_data():
    """The folder of real data beside the project; the test skips where it is missing."""
    folder = PROJECT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("the folder of real data, ../shared/data, is not here")
    return folder
