"""Each benchmark runs at tiny sizes; what it measures then means nothing."""

import json
import subprocess
import sys

import pytest

from tests.benchmarks.conftest import FOLDER


@pytest.mark.parametrize(
    ("name", "num_rows"),
    [
        ("clip_loading", 5),
        ("repeated_clips", 2),
        ("train_transform", 10),
        ("multiview_read", 2),
        ("multiview_eval", 3),
        ("growth", 3),
    ],
)
def test_a_script_measures(script, name, num_rows):
    rows = list(script(name).measure(quick=True))
    assert len(rows) == num_rows
    for row in rows:
        assert row.value is not None or "does not import" in row.note


@pytest.mark.slow
def test_rows_are_printed_as_json():
    command = [sys.executable, FOLDER / "manifest_startup.py", "--quick", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [row["unit"] for row in rows[:2]] == ["s", "MB"]
    assert [row["at_most"] for row in rows[:2]] == [1.5, 150.0]
