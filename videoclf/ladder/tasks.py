"""The columns of the ladder: its tasks, as overrides of `data=ladder`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Column:
    """A task of the ladder with its settings.

    Args:
        name: of the column; also of its runs' folders.
        overrides: beside `data=ladder`.
        num_classes: 1 / chance.
        ability: what it takes, in a few words.
        frames_apart: from one of two events to the other; None where there are no two.
    """

    name: str
    overrides: tuple[str, ...]
    num_classes: int
    ability: str
    frames_apart: int | None = None

    @property
    def is_distance(self) -> bool:
        """Whether it is one of `DISTANCE_COLUMNS`, which differ in their distance alone."""
        return self.name.startswith(_EVENT_ORDER)


def _column(
    task: str, num_classes: int, ability: str, *, frames_apart: int | None = None
) -> Column:
    return Column(
        name=task,
        overrides=(f"data.task={task}",),
        num_classes=num_classes,
        ability=ability,
        frames_apart=frames_apart,
    )


def _event_order(frames_apart: int) -> Column:
    return Column(
        name=f"{_EVENT_ORDER}{frames_apart}",
        overrides=("data.task=event_order", f"data.frames_apart={frames_apart}"),
        num_classes=2,
        ability=f"order events {frames_apart} frames apart",
        frames_apart=frames_apart,
    )


def _shortcut(agreement: float) -> Column:
    return Column(
        name=f"shortcut_{agreement:g}",
        overrides=("data.task=shortcut", f"data.agreement={agreement:g}"),
        num_classes=2,
        ability=f"resist a colour that agrees in {agreement:.0%} of training clips",
    )


_EVENT_ORDER = "event_order_"
#: Even, for some strategies look at every other frame: a theorem holds at multiples of the stride.
DISTANCES = (2, 4, 6, 8, 10, 12)
#: Accuracy against distance: local and global memory (`videoclf ladder --distances`).
DISTANCE_COLUMNS = tuple(_event_order(distance) for distance in DISTANCES)


COLUMNS = (
    _column("appearance", 4, "see what is shown"),
    _column("motion_direction", 2, "tell left from right"),
    _column("speed", 3, "tell slow from fast"),
    _column("fine_motion", 2, "see steps of one pixel"),
    _column("motion_only", 4, "see motion in noise"),
    _column("relative_motion", 2, "compare two motions"),
    _column("counting", 4, "count events"),
    _event_order(4),
    _event_order(12),
    _column("time_shift", 2, "know an event at another time", frames_apart=2),
    _column("shell_game", 3, "follow one of three"),
    _column("shortcut", 2, "resist a colour that helps in training"),
    _column("control", 2, "find nothing where nothing is"),
)

#: Tasks that are run where they are named: `videoclf ladder -t shortcut_1`.
MORE_COLUMNS = (
    *(column for column in DISTANCE_COLUMNS if column not in COLUMNS),
    _shortcut(0.5),
    _shortcut(1.0),
)

#: Order nearby and far away, direction, number: the columns of `videoclf ladder --quick`.
QUICK_COLUMNS = tuple(
    column
    for column in COLUMNS
    if column.name in ("motion_direction", "counting", "event_order_4", "event_order_12")
)
