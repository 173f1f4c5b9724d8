"""The GPU benchmark on a CPU: everything but the figures that only a GPU gives."""

import pytest
import torch

from videoclf.errors import ConfigError

TINY = [
    "data.num_train=16",
    "data.num_val=8",
    "data.num_test=8",
    "data.size_pixels=32",
    "data.num_frames=8",
    "data.batch_size=4",
    "data.num_workers=1",
    "sampler.num_frames=8",
    "transform.resize_pixels=32",
    "transform.crop_pixels=32",
    "model.widths=[4,8]",
    "model.temporal_strides=[1,2]",
]


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU is here")
def test_without_a_gpu_it_says_so_in_one_sentence(script, capsys):
    assert script("gpu").main([]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("\n") == 1
    assert "needs an NVIDIA GPU, and torch sees none here; nothing was measured" in said.err


def test_all_is_measured_of_a_small_network(script):
    gpu = script("gpu")
    device = gpu.check_device("cpu")
    row = gpu.measure("slow_fusion", TINY, device, steps=3)
    assert row.clip == (3, 8, 32, 32)
    assert row.clips_a_step == 4
    assert 0 < row.bfloat16_difference < gpu.TOLERANCE
    assert row.step_rate == pytest.approx(4 / row.step_seconds)
    assert min(row.loader_rate, row.end_to_end_rate, row.macs_per_clip) > 0
    assert row.end_to_end_rate < 2 * row.step_rate
    assert 0 <= row.wait_share <= 1
    assert (row.mfu, row.peak_memory_gib) == (None, None)
    said = gpu.describe(row)
    assert "4 clips of 3x8x32x32" in said
    assert "peak of the device unknown" in said
    assert gpu.environment(device).startswith(f"torch {torch.__version__}, CUDA ")


def test_arithmetic_that_is_wrong_in_bfloat16_is_refused(script, monkeypatch):
    gpu = script("gpu")
    monkeypatch.setattr(gpu, "TOLERANCE", 0.0)
    with pytest.raises(ConfigError, match="slow_fusion: logits in bfloat16 differ by"):
        gpu.measure("slow_fusion", TINY, torch.device("cpu"), steps=1)
