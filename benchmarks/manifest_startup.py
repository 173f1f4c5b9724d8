"""Start on a data set of a million rows: open the manifest, order the rows, read the first ones.

Each start is a process of its own, measured from after its imports to its first records: wall
time, and by how much the peak of its resident memory grew, up to the end of 20,000 further
records; pages of the mapped file are counted. With the 10x3 views of a test it must cost the same,
for views are no rows. Beside it: pytorchvideo's list of labelled paths from a CSV file.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
from peers import import_pytorchvideo
from table import Row, report
from timing import quartiles

from videoclf.data.manifest import Manifest

AT_MOST_SECONDS, AT_MOST_MEGABYTES = 1.5, 150.0
OURS = """
import sys, time
from pathlib import Path
import pyarrow.compute
from videoclf.data.batch_sampler import EvalBatches, TrainBatches
from videoclf.data.dataset import VideoDataset
from videoclf.data.manifest import Manifest
from videoclf.evaluation.views import Views
path, num_views = sys.argv[1], int(sys.argv[2])
views = Views(num_clips=10, num_crops=3, average="probabilities") if num_views > 1 else None
before = kilobytes("VmRSS")
began = time.perf_counter()
manifest = Manifest.open(path)
rows = manifest.rows("train").to_numpy()
if views is None:
    batches = TrainBatches(rows, batch_size=8, seed=0, rank=0, world=1)
else:
    batches = EvalBatches(rows, batch_size=1, rank=0, world=1)
data = VideoDataset(manifest=manifest, folder=Path("/"), open_video=None, sampler=None,
                    transform=None, seed=0, views=views)
for epoch, row in next(iter(batches)):
    data.manifest.record(row)
seconds = time.perf_counter() - began
for row in rows[:: max(1, len(rows) // 20_000)]:
    data.manifest.record(int(row))
"""
PYTORCHVIDEO = """
import sys, time, warnings
warnings.simplefilter("ignore")
from pytorchvideo.data.labeled_video_paths import LabeledVideoPaths
before = kilobytes("VmRSS")
began = time.perf_counter()
paths = LabeledVideoPaths.from_path(sys.argv[1])
paths[0]
seconds = time.perf_counter() - began
"""
MEMORY = """
def kilobytes(name):
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith(name))
"""
RESULT = """
import json
grown = kilobytes("VmHWM") - before
print(json.dumps({"seconds": seconds, "megabytes": grown / 1024}))
"""


def measure(*, quick: bool) -> Iterator[Row]:
    """Start several times in each way."""
    num_rows, starts = (1000, 1) if quick else (1_000_000, 5)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["VIDEOCLF_CACHE"] = folder
        manifest = write_manifest(num_rows)
        for views in (30,) if quick else (1, 30):
            found = [start(OURS, str(manifest), str(views)) for _ in range(starts)]
            text = f"{num_rows:,} rows" + (", 10x3 views" if views == 30 else "")
            yield row(f"{text}: wall time", "seconds", "s", found, AT_MOST_SECONDS)
            yield row(f"{text}: memory", "megabytes", "MB", found, AT_MOST_MEGABYTES)
        text = f"{num_rows:,} rows: pytorchvideo's list of labelled paths"
        try:
            import_pytorchvideo()
        except ImportError as error:
            yield Row.skipped(text, f"pytorchvideo does not import ({error})")
            return
        listing = Path(folder) / "list.csv"
        listing.write_text(
            "".join(f"{path(number)} {number % 400}\n" for number in range(num_rows))
        )
        found = [start(PYTORCHVIDEO, str(listing)) for _ in range(min(starts, 3))]
        yield row(f"{text}, wall time", "seconds", "s", found)
        yield row(f"{text}, memory", "megabytes", "MB", found)


def path(number: int) -> str:
    """Name a video as Kinetics does: 8 of 40 bytes differ from row to row."""
    return f"class_{number % 400:03d}/video_{number:08d}_000010_000020.mp4"


def write_manifest(num_rows: int) -> Path:
    """Save a manifest of that many rows and return its file."""
    numbers = np.arange(num_rows, dtype=np.int64)
    labels = pa.ListArray.from_arrays(
        np.arange(num_rows + 1, dtype=np.int32), pa.array((numbers % 400).astype(np.int32))
    )
    manifest = Manifest.from_columns(
        class_names=[f"class {number}" for number in range(400)],
        paths=[path(number) for number in range(num_rows)],
        labels=labels,
        subsets=pa.array(["train"] * num_rows),
    )
    return manifest.save()


def start(script: str, *arguments: str) -> dict[str, float]:
    """Run one start and return its seconds and megabytes."""
    command = [sys.executable, "-c", MEMORY + script + RESULT, *arguments]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    result: dict[str, float] = json.loads(done.stdout)
    return result


def row(
    text: str, key: str, unit: str, found: list[dict[str, float]], at_most: float | None = None
) -> Row:
    """Make a row of several starts."""
    low, middle, high = quartiles([one[key] for one in found])
    return Row(text, middle, low, high, unit, at_most=at_most)


if __name__ == "__main__":
    report(measure)
