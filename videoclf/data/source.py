"""What `data=<name>` builds: where a data set lies, how its records are found, how it is loaded.

A source is plain values and free of torch, so that the composing process checks a config and
builds the manifest before any library of weight is imported. One subclass per data set, in
`formats/` for public ones and in `videoclf.generated` for those that we draw ourselves.
"""

from __future__ import annotations

import abc
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, get_args

from videoclf.data.balance import Balance, check_balance
from videoclf.data.flow_source import FlowSource
from videoclf.errors import DataError
from videoclf.flow import estimator_class
from videoclf.flow.quantisation import Quantisation
from videoclf.readers import check_reader
from videoclf.readers.content import HashCheck

if TYPE_CHECKING:
    from videoclf.data.manifest import Manifest


MODALITIES = ("rgb", "flow")


@dataclass(frozen=True, kw_only=True)
class VideoData(abc.ABC):
    """The settings that every data set shares.

    Args:
        root: folder of the videos; records name files below it.
        reader: backend that decodes: pyav, or decord.
        modalities: what a clip consists of, rgb, flow or both; each is an argument of the model's
            `forward`.
        flow_folder: flow that `videoclf flow` has stored; None estimates it while loading, which
            is for small sets.
        flow_method: of the estimate; a name of `videoclf.flow.METHODS`.
        flow_bound_pixels: displacements beyond it are clipped; stored flow must have the same.
        batch_size: videos a rank and pass.
        global_batch_size: videos that an optimiser step learns from on all ranks, by accumulating
            passes; None accumulates as the trainer says.
        clips_per_video: training clips drawn from each opened video (repeated augmentation); a pass
            then has `batch_size * clips_per_video` clips.
        num_workers: loader processes a rank; 0 decodes in the rank itself.
        directional: the classes name directions (left, clockwise): clips are never mirrored.
        seconds_per_file: time limit for a loader process to read one file; None sets none.
        max_unreadable: unreadable videos that are left out and listed before the run stops.
        verify_hashes: hold the content of files against the hashes that annotations give (a table
            with a column `sha256`): once, at the first opening; always; or never.
        balance: how often an epoch reads the videos of rare classes, see `videoclf.data.balance`.
        num_classes: written by the composing process, from the manifest.
        class_names: written by the composing process, in the order of the class ids.
    """

    root: str | None
    reader: str
    modalities: tuple[str, ...]
    flow_folder: str | None
    flow_method: str
    flow_bound_pixels: float
    batch_size: int
    clips_per_video: int
    num_workers: int
    seconds_per_file: float | None
    directional: bool
    max_unreadable: int
    verify_hashes: HashCheck
    num_classes: int | None
    class_names: tuple[str, ...] | None
    balance: Balance = "none"
    global_batch_size: int | None = None

    #: Records may carry several labels at once (sigmoid and mAP instead of softmax and top-1).
    multi_label: ClassVar[bool] = False

    def __post_init__(self) -> None:
        check_reader(self.reader)
        if self.batch_size < 1:
            raise ValueError(f"data.batch_size={self.batch_size} must be at least 1")
        if self.global_batch_size is not None and self.global_batch_size < 1:
            raise ValueError(
                f"data.global_batch_size={self.global_batch_size} must be at least 1, or null"
            )
        if self.clips_per_video < 1:
            raise ValueError(f"data.clips_per_video={self.clips_per_video} must be at least 1")
        if self.num_workers < 0:
            raise ValueError(f"data.num_workers={self.num_workers} must be at least 0")
        if self.seconds_per_file is not None and self.seconds_per_file <= 0:
            raise ValueError(
                f"data.seconds_per_file={self.seconds_per_file} must be above 0, or null"
            )
        if self.max_unreadable < 0:
            raise ValueError(f"data.max_unreadable={self.max_unreadable} must be at least 0")
        if self.verify_hashes not in get_args(HashCheck):
            raise ValueError(
                f"data.verify_hashes={self.verify_hashes} must be once, always or never"
            )
        check_balance(self.balance)
        wrong = [name for name in self.modalities if name not in MODALITIES]
        if wrong or not self.modalities or len(set(self.modalities)) < len(self.modalities):
            raise ValueError(
                f"data.modalities={list(self.modalities)} must be [rgb], [flow] or [rgb,flow]"
            )
        estimator_class(self.flow_method)
        Quantisation(self.flow_bound_pixels)

    @abc.abstractmethod
    def manifest(self) -> Manifest:
        """Find all records, checked against the files below `root`.

        Raises:
            ConfigError: an annotation is wrong; its text names file and line.
            DataError: the root or files are missing; its text names them.
        """

    def derived(self) -> dict[str, Any]:
        """Return settings that follow from others; the composing process writes them down."""
        return {}

    def flow(self) -> FlowSource | None:
        """Return where flow comes from, if a clip has any."""
        if "flow" not in self.modalities:
            return None
        return FlowSource(
            folder=self.flow_folder, method=self.flow_method, bound_pixels=self.flow_bound_pixels
        )

    def folder(self) -> Path:
        """Return `root` as a folder that exists.

        Raises:
            DataError: no root was given, or it is not a folder.
        """
        if self.root is None:
            raise DataError(
                "data.root is not set; give the folder of the videos: data.root=/my/videos"
            )
        root = Path(self.root)
        if not root.is_dir():
            what = "is not a folder" if root.exists() else "does not exist"
            raise DataError(f"data.root={self.root} {what}; give the folder of the videos")
        return root
