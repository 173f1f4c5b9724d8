"""Short runs that try something: `dry_run=true` the whole way of a run, `overfit=N` a model.

A dry run builds all that the run would, trains two batches, validates one and writes a checkpoint,
which is then deleted. Overfitting trains and validates on the same N training videos, the same clip
of each and without augmentation: a model that cannot learn these by heart will not learn the rest.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from videoclf.checkpoint_folder import size_of
from videoclf.data.manifest import Manifest
from videoclf.errors import ConfigError

#: What a dry run changes about the trainer.
DRY_RUN: dict[str, Any] = {
    "max_epochs": 1,
    "limit_train_batches": 2,
    "check_val_every_n_epoch": 1,
    "log_every_n_steps": 1,
}


def few_videos(manifest: Manifest, count: int) -> Manifest:
    """Return a manifest of `count` training videos, each of them for training and validation.

    They are spread evenly over the training list, ordered by class.

    Raises:
        ConfigError: there are not so many.
    """
    rows = manifest.rows("train").to_numpy()
    if not 1 <= count <= len(rows):
        raise ConfigError(f"overfit={count} must be from 1 to the {len(rows)} training videos")
    labels = manifest.table["labels"].take(pa.array(rows)).to_pylist()
    order = sorted(range(len(rows)), key=lambda place: (labels[place], place))
    chosen = np.linspace(0, len(rows) - 1, count).round().astype(int)
    table = manifest.table.take(pa.array(rows[[order[place] for place in chosen]]))
    place = table.schema.get_field_index("subset")
    twice = [
        table.set_column(place, table.schema.field(place), pa.repeat(subset, count))
        for subset in ("train", "val")
    ]
    return Manifest(pa.concat_tables(twice).combine_chunks(), manifest.class_names)


def end_dry_run(folder: Path) -> None:
    """Delete the checkpoints of a dry run, and say that all went well."""
    checkpoints = folder / "checkpoints"
    size = sum(size_of(path) for path in checkpoints.glob("*.ckpt"))
    count = len(list(checkpoints.glob("*.ckpt")))
    shutil.rmtree(checkpoints, ignore_errors=True)
    sys.stdout.write(
        f"dry run: two training batches and one validation batch went well, and {count} "
        f"checkpoints of {size / count / 1e6:.1f} MB could be written; they are deleted again, "
        f"{folder} holds the config\n"
    )
