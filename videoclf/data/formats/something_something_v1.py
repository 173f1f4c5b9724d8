"""`data=something_something_v1`: Something-Something V1 (Goyal et al., 2017, arXiv:1706.04261).

`annotations` is the folder of something-something-v1-labels.csv, -train.csv and -validation.csv.
"""

from __future__ import annotations

from dataclasses import dataclass

from videoclf.data.formats.holdout import check_fractions
from videoclf.data.formats.twentybn_lists import twentybn_manifest
from videoclf.data.manifest import Manifest
from videoclf.data.source import VideoData


@dataclass(frozen=True, kw_only=True)
class SomethingSomethingV1(VideoData):
    """Something-Something V1: 108,499 clips of 174 actions with everyday objects.

    Args:
        annotations: the folder of the official lists.
        val_fraction: share of the training list held out as val; the validation list is test.
    """

    annotations: str | None
    val_fraction: float

    def __post_init__(self) -> None:
        super().__post_init__()
        check_fractions(self.val_fraction)

    def manifest(self) -> Manifest:
        """Read the lists and hold them against the files below `root`."""
        return twentybn_manifest(self, self.annotations, self.val_fraction)
