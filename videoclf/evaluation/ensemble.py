"""How several checkpoints' predictions become one: the settings, checked before anything runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from videoclf.errors import ConfigError

FUSIONS = ("average", "logistic", "svm")
AVERAGES = ("probabilities", "logits")


@dataclass(frozen=True, kw_only=True)
class Ensemble:
    """How the members' predictions become one.

    Args:
        fusion: `average`, or a linear classifier over the stacked probabilities: `logistic`
            regression or `svm`.
        weights: of the members in the average, such as (1, 1.5); None weighs all alike.
        average: `probabilities`, or `logits`: their logarithms, a geometric mean.
        fit_subset: videos that logistic and svm are fitted on; scored by all members first.
        regularization: weight of the squared norm of the fitted classifier.

    Raises:
        ValueError: a value out of range.
    """

    fusion: Literal["average", "logistic", "svm"]
    weights: tuple[float, ...] | None
    average: Literal["probabilities", "logits"]
    fit_subset: str
    regularization: float

    def __post_init__(self) -> None:
        if self.fusion not in FUSIONS:
            raise ValueError(f"ensemble.fusion={self.fusion!r} must be one of {', '.join(FUSIONS)}")
        if self.average not in AVERAGES:
            raise ValueError(
                f"ensemble.average={self.average!r} must be one of {', '.join(AVERAGES)}"
            )
        if self.weights is not None and (
            self.fusion != "average" or min(self.weights) < 0 or sum(self.weights) <= 0
        ):
            raise ValueError(
                f"ensemble.weights={list(self.weights)} must be at least 0 and not all 0, "
                f"and belong to ensemble.fusion=average, not {self.fusion}"
            )
        if self.regularization < 0:
            raise ValueError(f"ensemble.regularization={self.regularization} must be at least 0")

    def check_members(self, count: int) -> None:
        """Hold the weights against the number of checkpoints.

        Raises:
            ConfigError: another number.
        """
        if self.weights is not None and len(self.weights) != count:
            raise ConfigError(
                f"ensemble.weights has {len(self.weights)} value(s) for {count} checkpoints; "
                "give one each"
            )

    @property
    def name(self) -> str:
        """What the protocol of a metric says of it, such as `average_1_1.5`."""
        if self.weights is None:
            return self.fusion
        return "_".join([self.fusion, *(f"{weight:g}" for weight in self.weights)])
