"""From `videoclf prepare` to training: an altered byte of a prepared file is named, exit code 3."""

import csv

import pytest

from tests.barcode import write_barcodes
from tests.conftest import TINY_MODEL, run_script
from videoclf.cli import main

SETTINGS = (
    "data=csv",
    *TINY_MODEL,
    "data.batch_size=4",
    "data.num_workers=0",
    "sampler.num_frames=4",
    "transform.resize_pixels=32",
    "transform.crop_pixels=32",
    "trainer.max_epochs=1",
)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    folder = tmp_path_factory.mktemp("prepared")
    for subset, count in (("train", 4), ("val", 1), ("test", 1)):
        for name in ("jump", "run"):
            (folder / "videos" / subset / name).mkdir(parents=True)
            for number in range(count):
                write_barcodes(folder / "videos" / subset / name / f"{number}.mp4", range(12))
    assert main(["prepare", str(folder / "videos"), str(folder / "out"), "--processes=1"]) == 0
    return folder / "out" / "manifest.csv"


def alter(table, name):
    """Change the colour of something in the middle of the film; it decodes without an error."""
    with table.open() as file:
        assert next(csv.DictReader(file))["sha256"]
    path = table.parent / name
    content = bytearray(path.read_bytes())
    place = content.rindex(b"mdat") + (len(content) - content.rindex(b"mdat")) // 2
    content[place] ^= 1
    path.write_bytes(content)


def test_one_altered_byte_ends_training_and_is_named(prepared, tmp_path):
    alter(prepared, "train/run/2.mp4")
    ended = run_script("train.py", *SETTINGS, f"data.annotations={prepared}", cwd=tmp_path)
    assert ended.returncode == 3, ended.stderr
    last = ended.stderr.strip().splitlines()[-1]
    assert "train/run/2.mp4" in last
    assert "its content is not what the manifest says (sha256 " in last
