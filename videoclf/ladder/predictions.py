"""What is said before any run: theorems (nobody can exceed this) and predictions (this one will).

A theorem is a ceiling that holds for every set of weights, and follows from how the strategy is
built and how the task's orbits are closed (`videoclf.generated.ladder`). For strategies that know
frames by their number the ceiling of `time_shift` holds on average over seeds, not for one run. A
prediction is a bet: an accuracy of `EXPECTED` or more. Where neither stands, nothing is claimed.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from videoclf.ladder.strategies import Strategy
from videoclf.ladder.tasks import Column

#: The accuracy that a prediction promises.
EXPECTED = 0.9

#: Tasks whose orbits are permutations of the same frames, all classes of them.
_PERMUTED = frozenset(
    {
        "motion_direction",
        "speed",
        "counting",
        "time_shift",
        "shell_game",
    }
)
#: Tasks where one class is the other backwards.
_REVERSED = frozenset({"motion_direction"})

_THREE_D = ("3D CNN", "3D CNN, circular in time", "3D CNN + non-local")
_PREDICTED: dict[str, tuple[str, ...]] = {
    "motion_direction": ("early fusion", *_THREE_D, "SlowFast", "recurrent CNN", "ViViT"),
    "speed": ("early fusion", *_THREE_D, "recurrent CNN", "ViViT"),
    "fine_motion": ("early fusion", *_THREE_D, "SlowFast", "ViViT"),
    "motion_only": ("early fusion", *_THREE_D, "recurrent CNN"),
    "relative_motion": _THREE_D,
    "counting": ("late fusion, convolution", "early fusion", *_THREE_D, "CNN + LSTM"),
    "event_order_4": ("late fusion, FC", "early fusion", *_THREE_D, "CNN + LSTM"),
    "event_order_12": ("late fusion, FC", "early fusion", "CNN + LSTM"),
    "time_shift": ("late fusion, convolution", "3D CNN, circular in time"),
}


class Claim(Enum):
    """What kind of thing is said of a cell."""

    THEOREM = "theorem"
    THEOREM_ON_AVERAGE = "theorem on average over seeds"
    EXPECTED = "expected"
    NONE = "no prediction"


@dataclass(frozen=True)
class Said:
    """What is said of a strategy on a task.

    Args:
        claim: its kind.
        ceiling: accuracy that a theorem does not allow to exceed; None without one.
        reason: why, for theorems.
    """

    claim: Claim
    ceiling: float | None = None
    reason: str = ""


def say(strategy: Strategy, column: Column) -> Said:
    """Return what is said beforehand of a strategy on a task."""
    chance = 1 / column.num_classes
    window, apart = strategy.window_frames, column.frames_apart
    if strategy.blind == "order" and (column.name in _PERMUTED or column.is_distance):
        return Said(Claim.THEOREM, chance, "blind to order: the classes hold the same frames")
    if strategy.blind and column.name in _REVERSED:
        return Said(Claim.THEOREM, chance, "blind to reversal: one class is the other backwards")
    if strategy.blind and column.name == "motion_only":
        return Said(Claim.THEOREM, 0.5, f"blind to {strategy.blind}: opposites are one backwards")
    if window is not None and apart is not None and window <= apart:
        return Said(
            Claim.THEOREM,
            chance,
            f"windows of {window} frames, then an average: events {apart} apart are seen alone",
        )
    if window == strategy.stride_frames == 2 and column.name == "shell_game":
        return Said(Claim.THEOREM, chance, "pairs of frames, averaged: swaps are seen one by one")
    if strategy.absolute and column.name == "time_shift":
        return Said(
            Claim.THEOREM_ON_AVERAGE, chance, "weights of the tested half were never trained"
        )
    if column.name == "appearance" or strategy.name in _PREDICTED.get(column.name, ()):
        return Said(Claim.EXPECTED)
    return Said(Claim.NONE)
