"""From a checked listing to the manifest: the last steps, the same for all formats."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import pyarrow.compute as pc

from videoclf.data.formats.listing import Listing
from videoclf.data.manifest import Manifest
from videoclf.data.presence import check_files
from videoclf.errors import ConfigError

log = logging.getLogger(__name__)


def assemble(
    listing: Listing,
    class_names: Sequence[str],
    *,
    source: Path,
    root: Path,
    max_missing: int,
    val_fraction: float = 0.0,
    test_fraction: float = 0.0,
    multi_label: bool = False,
    untrained_allowed: bool = False,
    torn_groups_allowed: bool = False,
) -> Manifest:
    """Check the rows, hold out what has no list of its own, and check the files.

    Args:
        listing: all rows; those held out are taken from its train rows.
        class_names: by class id.
        source: the annotation, for messages.
        root: folder of the videos.
        max_missing: listed videos that may be absent; the reader reports each of them.
        val_fraction: share of the train rows to hold out as val; 0 where val rows are listed.
        test_fraction: share of the train rows to hold out as test.
        multi_label: rows of one video are joined to one record with the labels of all.
        untrained_allowed: classes without a train row are logged instead of refused.
        torn_groups_allowed: the official lists part groups; they only guide what is held out.

    Raises:
        ConfigError: rows contradict each other, or a class has no train row.
        DataError: videos are missing.
    """
    listing.check(class_names, multi_label=multi_label, torn_groups_allowed=torn_groups_allowed)
    if multi_label:
        listing = listing.merged()
    # Holding out leaves each class something to train on, so what has none lacks it before.
    _check_trained(listing, class_names, source, untrained_allowed or multi_label)
    listing = listing.held_out(val_fraction, test_fraction)
    manifest = listing.manifest(class_names)
    check_files(manifest, root, allowed=max_missing)
    return manifest


def _check_trained(
    listing: Listing, class_names: Sequence[str], source: Path, allowed: bool
) -> None:
    """Refuse a class that no train row has; a list of test rows alone is for evaluation."""
    train = pc.indices_nonzero(pc.equal(listing.subsets, "train"))
    if not len(train):
        return
    trained = set(pc.unique(listing.labels.take(train).flatten()).to_pylist())
    empty = [name for class_id, name in enumerate(class_names) if class_id not in trained]
    if not empty:
        return
    shown = ", ".join(map(repr, empty[:10])) + (", ..." if len(empty) > 10 else "")
    if not allowed:
        raise ConfigError(
            f"{source}: no train row has the class {shown}; add one, or take the class out"
        )
    log.warning("%s: no train row has the classes %s", source, shown)
