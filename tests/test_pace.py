"""Clips a second, waiting for data, and what is said where the loader is too slow."""

import re
import time
from dataclasses import replace

import pytest
import torch

from tests.models.contract import configured
from tests.resuming import fit, start_folder
from videoclf.data.dataset import VideoDataset
from videoclf.pace import Pace, count_macs_of, starved
from videoclf.profiling.peak import peak_operations, utilisation
from videoclf.progress import EpochLines, describe_pace
from videoclf.types import Batch

#: 32 batches in an epoch
CHANGES = {"data__batch_size": 1, "global_batch_size": 1}


def read_slowly(monkeypatch, seconds):
    read = VideoDataset._read

    def slowly(self, *key):
        time.sleep(seconds)
        return read(self, *key)

    monkeypatch.setattr(VideoDataset, "_read", slowly)


def test_a_loader_that_is_too_slow_is_said_once_with_the_remedy(
    trained_run, tmp_path, monkeypatch, capfd
):
    read_slowly(monkeypatch, 0.1)
    folder = start_folder(trained_run, tmp_path / "run", **CHANGES, trainer__max_epochs=2)
    assert not fit(folder, num_workers=0)
    said = capfd.readouterr().err
    (warning,) = [line for line in said.splitlines() if line.startswith("warning:")]
    share = int(re.search(r"warning: (\d+)% of the time is spent waiting for data", warning)[1])
    assert 30 < share <= 100
    assert "set data.num_workers=" in warning
    assert "`videoclf bench loader`" in warning
    lines = [line for line in said.splitlines() if line.startswith("epoch ")]
    assert len(lines) == 2
    for line in lines:
        assert re.search(r"[\d.]+ clips/s  \d+% waiting for data  \d+ s left$", line)
    rate = float(re.search(r"([\d.]+) clips/s", lines[-1])[1])
    assert 0 < rate < 10  # each of them takes a tenth of a second to read


def test_the_remedy_names_more_workers_only_where_there_are_cores():
    assert "data.num_workers" in starved(0.5, 0)
    assert "data.num_workers" not in starved(0.5, 10_000)


def test_the_figures_as_words():
    known = {"clips_per_second": 3.21, "data_wait_share": 0.042}
    assert describe_pace(known) == ["3.2 clips/s", "4% waiting for data"]
    known |= {"clips_per_second": 321, "gpu_memory_gib": 17.33, "gpu_utilisation": 0.97}
    assert describe_pace({**known, "mfu": 0.314}) == [
        "321 clips/s",
        "4% waiting for data",
        "17.3 GiB of the GPU",
        "GPU busy 97%",
        "MFU 31%",
    ]


def test_a_pace_without_steps_is_nothing():
    pace = Pace(num_workers=1)
    assert (pace.clips_per_second, pace.wait_share) == (0.0, 0.0)
    assert EpochLines(pace).pace is pace


def test_the_arithmetic_of_a_clip_is_counted_and_leaves_the_model_as_it_was():
    model = configured("slow_fusion", num_frames=8)
    frozen = model.stages[0].eval()
    clips = torch.zeros(2, 3, 8, 32, 32)
    nothing = torch.zeros(0, dtype=torch.int64)
    batch = Batch({"rgb": clips}, labels=nothing, epochs=nothing, indices=nothing, num_views=1)
    pace = Pace(num_workers=1)
    pace.count_macs(model, batch)
    assert pace.macs == 0  # nothing readable
    batch = Batch(
        {"rgb": clips}, labels=nothing, epochs=nothing, indices=torch.ones(2), num_views=1
    )
    macs = count_macs_of(model, batch)
    first = 8 * 16 * 16 * 16 * 3 * 27  # of the first convolution
    assert first < macs < 20 * first
    assert model.training
    assert not frozen.training
    pace.count_macs(model, batch)
    pace.count_macs(model, batch)
    assert pace.macs == 4 * macs
    larger = replace(batch, inputs={"rgb": torch.zeros(2, 3, 8, 64, 64)})
    pace.count_macs(model, larger)  # as multigrid has them
    assert pace.macs > 10 * macs


@pytest.mark.parametrize(
    ("name", "peak"),
    [
        ("NVIDIA H100 80GB HBM3", 989e12),
        ("NVIDIA H100 PCIe", 756e12),
        ("NVIDIA A100-SXM4-80GB", 312e12),
        ("Tesla V100-SXM2-16GB", 125e12),
        ("NVIDIA L40S", 362e12),
        ("Quadro P400", None),
    ],
)
def test_peaks_by_the_name_of_the_device(name, peak):
    assert peak_operations(name) == peak


def test_the_example_of_the_docstring():
    share = utilisation(macs_per_clip=40_700_000_000, clips_per_second=1000, peak=989e12)
    assert share == pytest.approx(0.247, abs=1e-3)
