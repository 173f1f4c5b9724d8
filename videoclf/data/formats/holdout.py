"""Hold val (and test) out of a training list: deterministic, per class, whole groups where known.

Annotation file -> rows -> **hold-out** -> manifest. Units are ordered by a hash of their name, so
the choice depends neither on the order of the rows nor on the machine, and a video added later
changes at most a place or two in its own class.

Example: 20 videos of a class, `val_fraction=0.15`, `test_fraction=0.15`: the 3 with the smallest
hashes are test, the next 3 val, the other 14 train.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from videoclf.errors import ConfigError

if TYPE_CHECKING:
    from numpy.typing import NDArray

log = logging.getLogger(__name__)

#: Part of every hash: another value would hold out other videos. Never change it.
SEED = b"videoclf hold-out 1"

TRAIN, VAL, TEST = 0, 1, 2
SUBSET_OF_CODE = np.array(["train", "val", "test"])


def check_fractions(val_fraction: float, test_fraction: float = 0.0) -> None:
    """Refuse fractions that leave nothing to train on.

    Raises:
        ValueError: a fraction is outside [0, 1), or both together reach 1.
    """
    for name, fraction in (("val_fraction", val_fraction), ("test_fraction", test_fraction)):
        if not 0 <= fraction < 1:
            raise ValueError(f"data.{name}={fraction} must be at least 0 and below 1")
    if val_fraction + test_fraction >= 1:
        raise ValueError(
            f"data.val_fraction={val_fraction} and data.test_fraction={test_fraction} leave "
            "nothing to train on; their sum must stay below 1"
        )


def hold_out(
    paths: pa.Array,
    classes: NDArray[Any],
    *,
    val_fraction: float,
    test_fraction: float = 0.0,
    groups: pa.Array | None = None,
) -> NDArray[np.str_]:
    """Return the subset of each row: train, val or test.

    Each class gives its fraction, rounded, and at least one unit to each subset asked for where
    it has as many units as there are subsets. Train always keeps one.

    Args:
        paths: of the rows; they order the units where there are no groups.
        classes: the class id of each row (the first, where there are several), int (N,).
        val_fraction: share of all rows for val; 0 holds none out.
        test_fraction: share of all rows for test; 0 holds none out.
        groups: names of groups that must not be torn apart; rows whose group is null stand alone.

    Raises:
        ConfigError: a subset that was asked for would be empty.
    """
    if groups is None or groups.null_count == len(groups):
        codes = _by_rank(paths, classes, val_fraction, test_fraction)
        unit = "videos chosen by a hash of their names with a fixed seed, the same share per class"
    else:
        codes = _by_group(paths, classes, groups, val_fraction, test_fraction)
        unit = "whole groups chosen by a hash of their names with a fixed seed"
    for code, name, fraction in (
        (VAL, "val", val_fraction),
        (TEST, "test", test_fraction),
    ):
        if not fraction:
            continue
        count = int(np.count_nonzero(codes == code))
        if not count:
            raise ConfigError(
                f"data.{name}_fraction={fraction} holds out none of {len(codes)} videos: no class "
                "has enough of them (or enough groups); add videos, or list the subsets yourself"
            )
        log.info("%s: %d of %d listed videos held out: %s", name, count, len(codes), unit)
    return SUBSET_OF_CODE[codes]


def _hashes(names: Iterable[str]) -> NDArray[np.uint64]:
    digests = [hashlib.blake2b(name.encode(), digest_size=8, key=SEED).digest() for name in names]
    return np.frombuffer(b"".join(digests), ">u8").astype(np.uint64)


def _by_rank(
    paths: pa.Array, classes: NDArray[Any], val_fraction: float, test_fraction: float
) -> NDArray[np.int64]:
    """Give each class's first ranks by hash to test, the next to val."""
    order = np.lexsort((_hashes(paths.to_pylist()), classes))
    counts = np.bincount(classes)
    first = np.cumsum(counts) - counts
    rank = np.empty(len(classes), np.int64)
    rank[order] = np.arange(len(classes)) - first[classes[order]]

    num_test = _share(counts, counts, test_fraction, left_over=2 if val_fraction else 1)
    num_val = _share(counts, counts - num_test, val_fraction, left_over=1)
    codes = np.full(len(classes), TRAIN)
    codes[rank < (num_test + num_val)[classes]] = VAL
    codes[rank < num_test[classes]] = TEST
    return codes


def _share(
    counts: NDArray[Any], available: NDArray[Any], fraction: float, left_over: int
) -> NDArray[np.int64]:
    """Round a fraction of each count: at least one, leaving `left_over`, where that many exist."""
    if not fraction:
        return np.zeros_like(counts)
    most = np.maximum(available - left_over, 0)
    least = np.minimum(most, 1)
    rounded: NDArray[np.int64] = np.floor(counts * fraction + 0.5).astype(np.int64)
    clipped: NDArray[np.int64] = np.minimum(np.maximum(rounded, least), most)
    return clipped


def _by_group(
    paths: pa.Array,
    classes: NDArray[Any],
    groups: pa.Array,
    val_fraction: float,
    test_fraction: float,
) -> NDArray[np.int64]:
    """Give whole groups to test, then to val, as long as each class comes nearer to its share."""
    # A row without a group is a unit of its own; NUL keeps its name apart from all groups.
    alone = pc.binary_join_element_wise("\0", paths, "")
    dictionary = pc.coalesce(groups, alone).dictionary_encode()
    unit_of_row = dictionary.indices.to_numpy(zero_copy_only=False)
    units = _Units(unit_of_row, classes, _hashes(dictionary.dictionary.to_pylist()))
    if test_fraction:
        units.take(TEST, test_fraction, left_over=2 if val_fraction else 1)
    if val_fraction:
        units.take(VAL, val_fraction, left_over=1)
    codes: NDArray[np.int64] = np.array(units.codes, np.int64)[unit_of_row]
    return codes


class _Units:
    """Groups, their sizes per class, given to subsets one by one in the order of their hashes."""

    def __init__(
        self, unit_of_row: NDArray[Any], classes: NDArray[Any], hashes: NDArray[np.uint64]
    ) -> None:
        num_classes = int(classes.max()) + 1
        pairs, sizes = np.unique(
            unit_of_row.astype(np.int64) * num_classes + classes, return_counts=True
        )
        self.sizes: list[dict[int, int]] = [{} for _ in hashes]
        for pair, size in zip(pairs.tolist(), sizes.tolist(), strict=True):
            self.sizes[pair // num_classes][pair % num_classes] = size
        self.order: list[int] = np.argsort(hashes, kind="stable").tolist()
        self.codes = [TRAIN] * len(hashes)
        self.num_rows: list[int] = np.bincount(classes).tolist()
        self.num_left: list[int] = np.bincount(pairs % num_classes).tolist()

    def take(self, code: int, fraction: float, left_over: int) -> None:
        """Move units to a subset; each class keeps `left_over` units for those that follow."""
        target = [fraction * rows for rows in self.num_rows]
        taken = [0] * len(target)
        for unit in self.order:
            nearer = sum(
                abs(taken[c] + size - target[c]) - abs(taken[c] - target[c])
                for c, size in self.sizes[unit].items()
            )
            if nearer < 0 and self._can_go(unit, left_over):
                self._move(unit, code, taken)
        # A class whose groups are all larger than its share still needs one: its smallest.
        for wanting in [c for c, rows in enumerate(self.num_rows) if rows and not taken[c]]:
            own = [u for u in self.order if wanting in self.sizes[u] and self._can_go(u, left_over)]
            if own and not taken[wanting]:
                self._move(min(own, key=lambda u: sum(self.sizes[u].values())), code, taken)

    def _can_go(self, unit: int, left_over: int) -> bool:
        in_train = self.codes[unit] == TRAIN
        return in_train and all(self.num_left[c] > left_over for c in self.sizes[unit])

    def _move(self, unit: int, code: int, taken: list[int]) -> None:
        self.codes[unit] = code
        for c, size in self.sizes[unit].items():
            taken[c] += size
            self.num_left[c] -= 1
