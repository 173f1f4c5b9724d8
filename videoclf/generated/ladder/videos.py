"""The ladder as a data set: `data=ladder data.task=motion_direction`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePosixPath
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from videoclf.build import nearest
from videoclf.generated.drawn import DrawnVideos
from videoclf.generated.ladder.appearance import Appearance
from videoclf.generated.ladder.counting import Counting
from videoclf.generated.ladder.events import CLASSES as FLASHES
from videoclf.generated.ladder.events import EventOrder, TimeShift
from videoclf.generated.ladder.random_dots import MotionOnly
from videoclf.generated.ladder.shell_game import ShellGame
from videoclf.generated.ladder.task import LadderTask
from videoclf.generated.ladder.texture import FineMotion, RelativeMotion
from videoclf.generated.ladder.travel import (
    NUM_FRAMES,
    SIZE_PIXELS,
    Control,
    MotionDirection,
    Shortcut,
    Speed,
)

#: Tasks by name, in the order of the ladder.
TASKS: dict[str, Callable[[LadderVideos], LadderTask]] = {
    "appearance": lambda _: Appearance(),
    "motion_direction": lambda _: MotionDirection(),
    "speed": lambda _: Speed(),
    "fine_motion": lambda _: FineMotion(),
    "motion_only": lambda _: MotionOnly(),
    "relative_motion": lambda _: RelativeMotion(),
    "counting": lambda _: Counting(),
    "event_order": lambda videos: EventOrder(
        classes=FLASHES,
        num_frames=32,
        size_pixels=32,
        frames_apart=videos.frames_apart,
        margin_frames=videos.margin_frames,
    ),
    "time_shift": lambda videos: TimeShift(
        classes=FLASHES, num_frames=24, size_pixels=32, shift=videos.shift
    ),
    "shell_game": lambda _: ShellGame(),
    "shortcut": lambda videos: Shortcut(
        classes=("right", "left"),
        num_frames=NUM_FRAMES,
        size_pixels=SIZE_PIXELS,
        agreement=videos.agreement,
    ),
    "control": lambda _: Control(),
}


@dataclass(frozen=True, kw_only=True)
class LadderVideos(DrawnVideos):
    """The clips of one task of the temporal ladder.

    Args:
        root: see `DrawnVideos`, as are the others, but for these.
        task: a name of `TASKS`.
        num_frames: None is what the task takes, and nothing else will do.
        size_pixels: likewise.
        frames_apart: of `event_order`, from one flash to the other.
        margin_frames: of `event_order`, free frames at either end.
        shift: of `time_shift`: later tests in the second half, earlier in the first.
        agreement: of `shortcut`, the share of training clips whose colour tells the class.
    """

    task: str
    frames_apart: int
    margin_frames: int
    shift: str
    agreement: float
    num_frames: int | None  # type: ignore[assignment]  # an int once it is built
    size_pixels: int | None  # type: ignore[assignment]

    name: ClassVar[str] = "ladder"
    version: ClassVar[int] = 1

    def __post_init__(self) -> None:
        if self.task not in TASKS:
            raise ValueError(f"data.task={self.task} is no task{nearest(self.task, TASKS)}")
        if not 0 <= self.agreement <= 1:
            raise ValueError(f"data.agreement={self.agreement} must be in [0, 1]")
        for key in ("num_frames", "size_pixels"):
            given, own = getattr(self, key), getattr(self.drawn_task, key)
            if given not in (None, own):
                raise ValueError(
                    f"data.{key}={given}, but {self.task} is drawn with {own}; give null"
                )
            object.__setattr__(self, key, own)
        super().__post_init__()

    @cached_property
    def drawn_task(self) -> LadderTask:
        """The task itself."""
        return TASKS[self.task](self)

    @property
    def classes(self) -> tuple[str, ...]:
        """See `DrawnVideos`."""
        return self.drawn_task.classes

    @property
    def lossless(self) -> bool:
        """See `DrawnVideos`."""
        return self.drawn_task.lossless

    def derived(self) -> dict[str, Any]:
        """See `VideoData`."""
        return {"num_frames": self.num_frames, "size_pixels": self.size_pixels}

    def draw(self, path: str) -> NDArray[np.uint8]:
        """Draw the clip of a path such as `train/left/00012.mp4`: uint8 (T, H, W, 3), RGB."""
        name, entropy = self.clip_of(path)
        return self.drawn_task.draw(
            self.classes.index(name),
            np.random.default_rng(entropy),
            subset=PurePosixPath(path).parts[0],
        )

    def _parameters(self) -> dict[str, object]:
        settings: dict[str, dict[str, object]] = {
            "event_order": {
                "frames_apart": self.frames_apart,
                "margin_frames": self.margin_frames,
            },
            "time_shift": {"shift": self.shift},
            "shortcut": {"agreement": self.agreement},
        }
        return {**super()._parameters(), "task": self.task, **settings.get(self.task, {})}
