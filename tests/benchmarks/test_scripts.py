"""Each benchmark runs at tiny sizes; what it measures then means nothing."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "benchmarks"
KEYS = {"compared", "value", "low", "high", "unit", "at_least", "at_most", "note"}


@pytest.mark.parametrize(
    ("script", "num_rows"),
    [
        ("clip_loading", 5),
        ("repeated_clips", 2),
        ("train_transform", 10),
        ("multiview_read", 2),
        ("manifest_startup", 5),
        ("growth", 3),
    ],
)
def test_a_script_gives_its_rows(script, num_rows):
    command = [sys.executable, FOLDER / f"{script}.py", "--quick", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    for row in rows:
        assert set(row) == KEYS
        assert row["value"] is not None or "does not import" in row["note"]
    skipped_in_two = script == "manifest_startup" and rows[-1]["value"] is None
    assert len(rows) == num_rows + (not skipped_in_two and script == "manifest_startup")


def test_rows_are_printed_with_their_verdict():
    command = [sys.executable, FOLDER / "growth.py", "--quick"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    for line in done.stdout.splitlines():
        assert line.endswith(("met", "missed"))
