"""`videoclf bench loader` measures the loader of a training, on its own data."""

import json

import pytest
import torch

from tests.barcode import write_barcodes
from videoclf.cli import main


@pytest.fixture
def videos(tmp_path):
    for place in range(12):
        folder = tmp_path / "videos" / f"class {place % 2}"
        folder.mkdir(parents=True, exist_ok=True)
        write_barcodes(folder / f"{place}.mp4", range(20), options={"preset": "ultrafast"})
    return tmp_path / "videos"


@pytest.mark.parametrize("num_workers", [0, 1])
def test_stages_and_the_whole(capsys, videos, tmp_path, num_workers):
    threads = torch.get_num_threads()
    code = main(
        [
            *("bench", "loader", "--seconds", "0.4", "--json", str(tmp_path / "out.json")),
            *("data=folder", f"data.root={videos}", "data.batch_size=2", "data.clips_per_video=2"),
            *(f"data.num_workers={num_workers}", "sampler.num_frames=4", "sampler.stride=1"),
            *("transform.resize_pixels=48", "transform.crop_pixels=32", "logger=csv"),
        ]
    )
    captured = capsys.readouterr()
    assert code == 0, captured.err
    found = json.loads((tmp_path / "out.json").read_text())
    assert found["frames_per_second"] == pytest.approx(4 * found["clips_per_second"])
    assert found["first"]["clips"] == found["again"]["clips"] > 0
    shares = found["again"]["shares"]
    assert sum(shares.values()) == pytest.approx(1)
    # each stage was seen: a step that is renamed elsewhere would show as nothing here
    assert min(shares[stage] for stage in shares if stage != "wait") > 0
    assert found["again"]["cpu_ms_per_clip"] > 0
    assert (found["short_side_pixels"], found["clips_per_video"]) == (64, 2)
    lines = captured.out.splitlines()
    assert "clips/s" in lines[0]
    assert [line.split()[0] for line in lines if line.startswith(tuple(shares))] == list(shares)
    assert torch.get_num_threads() == threads


def test_unreadable_videos_are_said_to_be(capsys, videos):
    for place in range(12):
        (videos / f"class {place % 2}" / f"{place}.mp4").write_bytes(b"<html>")
    code = main(["bench", "loader", "data=folder", f"data.root={videos}", "data.batch_size=2"])
    assert code == 3
    assert "videos could be read; run videoclf check on them" in capsys.readouterr().err


def test_the_cost_of_flow_is_a_stage(capsys, videos, tmp_path):
    code = main(
        [
            *("bench", "loader", "--seconds", "0.4", "--json", str(tmp_path / "out.json")),
            *("data=folder", f"data.root={videos}", "data.batch_size=2", "data.modalities=[flow]"),
            *("data.num_workers=0", "sampler.num_frames=4", "sampler.stride=1", "logger=csv"),
            *("transform.resize_pixels=48", "transform.crop_pixels=32"),
        ]
    )
    captured = capsys.readouterr()
    assert code == 0, captured.err
    assert json.loads((tmp_path / "out.json").read_text())["again"]["shares"]["flow"] > 0
    assert "estimate optical flow, or read it" in captured.out
