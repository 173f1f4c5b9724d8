"""W&B and TensorBoard go on with the curves of a killed run: no step twice, none missing."""

import csv
import re
import struct

import pytest
from wandb.proto import wandb_internal_pb2

from tests.conftest import PROJECT, TINY, TINY_MODEL, run_script

BLOCK_BYTES = 32768
SETTINGS = (
    *TINY,
    *TINY_MODEL,
    "data.num_train=56",
    "trainer.max_epochs=2",
    "trainer.log_every_n_steps=1",
    "checkpoint.every_n_steps=4",
    "task._target_=tests.recording.KilledClassification",
    "+task.step=11",
    "trusted_packages=[tests]",
    "logger=wandb",
    "+logger.tensorboard._target_=videoclf.loggers.tensorboard.TensorBoard",
    "+logger.tensorboard.folder=${run_dir}",
)


def curves(folder):
    """Return the curves of metrics.csv: by name, the values by step."""
    found = {}
    with (folder / "metrics.csv").open() as file:
        for row in csv.DictReader(file):
            for name, value in row.items():
                if value and name not in ("epoch", "step", "time_seconds"):
                    found.setdefault(name, {})[int(row["step"])] = float(value)
    return found


def records_of(file):
    """Yield the records of a `.wandb` file: LevelDB's log format after 7 bytes of W&B's own."""
    data, place, parts = file.read_bytes(), 7, b""
    assert data[:4] == b":W&B"
    while place + 7 <= len(data):
        left = BLOCK_BYTES - place % BLOCK_BYTES
        if left < 7:
            place += left
            continue
        _, length, kind = struct.unpack("<IHB", data[place : place + 7])
        if kind in (1, 2):  # whole, or first of several
            parts = b""
        parts += data[place + 7 : place + 7 + length]
        if kind in (1, 4):  # whole, or last of several
            yield parts
        place += 7 + length


def rows_of_wandb(file):
    """Return the rows of a run of W&B, each a dict of texts."""
    rows = []
    for data in records_of(file):
        record = wandb_internal_pb2.Record()
        record.ParseFromString(data)
        if record.HasField("history"):
            items = record.history.item
            rows.append({i.key or "/".join(i.nested_key): i.value_json for i in items})
    return rows


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    """A run that was killed between two checkpoints and gone on with; what was logged by then."""
    folder = tmp_path_factory.mktemp("runs") / "killed"
    alive = folder.parent / "alive"
    alive.touch()
    first = run_script(
        "train.py", *SETTINGS, f"+task.alive={alive}", f"run_dir={folder}", cwd=PROJECT
    )
    assert first.returncode == 7, first.stderr
    before = curves(folder)
    ended = run_script("train.py", f"resume={folder}", "trusted_packages=[tests]", cwd=PROJECT)
    assert ended.returncode == 0, ended.stderr
    return folder, before, ended.stdout + ended.stderr


def test_tensorboard_shows_each_step_once(killed):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    folder, before, said = killed
    assert "from last.ckpt: epoch 2, batch 2" in said
    assert max(before["train/loss"]) == 10  # steps 8, 9 and 10 are trained twice
    events = accumulator.EventAccumulator(
        str(folder / "tensorboard"), size_guidance={accumulator.SCALARS: 0}
    )
    events.Reload()
    expected = curves(folder)
    assert list(expected["train/loss"]) == list(range(14))
    for name, values in expected.items():
        shown = [(each.step, each.value) for each in events.Scalars(name)]
        assert [step for step, _ in shown] == list(values), name
        assert [value for _, value in shown] == pytest.approx(list(values.values())), name
    assert [each.step for each in events.Scalars("pace/clips_per_second")] == [6, 13]


def test_wandb_is_offline_and_inside_the_run(killed):
    folder, _, said = killed
    assert list((folder / "wandb").glob("offline-run-*/*.wandb"))
    assert (folder / "metrics.csv").is_file()
    assert not re.search(r"wandb\.ai/", said)


def test_wandb_keeps_its_id_and_has_each_step_once_in_the_newest_folder(killed):
    folder, _, _ = killed
    sessions = sorted((folder / "wandb").glob("offline-run-*"))
    assert len(sessions) == 2
    assert len({path.name.rpartition("-")[2] for path in sessions}) == 1
    rows = rows_of_wandb(next(sessions[-1].glob("*.wandb")))
    numbers = [int(row["_step"]) for row in rows]
    assert numbers == sorted(set(numbers))
    expected = curves(folder)
    for name, values in expected.items():
        shown = [(int(r["trainer/global_step"]), float(r[name])) for r in rows if name in r]
        assert [step for step, _ in shown] == list(values), name
        assert [value for _, value in shown] == pytest.approx(list(values.values())), name
