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
    """

    name: str
    overrides: tuple[str, ...]
    num_classes: int
    ability: str


def _column(task: str, num_classes: int, ability: str, *settings: str, name: str = "") -> Column:
    return Column(
        name=name or task,
        overrides=(f"data.task={task}", *settings),
        num_classes=num_classes,
        ability=ability,
    )


COLUMNS = (
    _column("appearance", 4, "see what is shown"),
    _column("motion_direction", 2, "tell left from right"),
    _column("speed", 3, "tell slow from fast"),
    _column("fine_motion", 2, "see steps of one pixel"),
    _column("motion_only", 4, "see motion in noise"),
    _column("relative_motion", 2, "compare two motions"),
    _column("counting", 4, "count events"),
    _column("event_order", 2, "order events 4 frames apart", name="event_order_4"),
    _column(
        "event_order",
        2,
        "order events 12 frames apart",
        "data.frames_apart=12",
        name="event_order_12",
    ),
    _column("time_shift", 2, "know an event at another time"),
    _column("shell_game", 3, "follow one of three"),
    _column("shortcut", 2, "resist a colour that helps in training"),
    _column("control", 2, "find nothing where nothing is"),
)
