"""How several networks' predictions become one: the settings, checked before anything runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from videoclf.errors import ConfigError

FUSIONS = ("average", "vote", "cascade", "logistic", "svm")
AVERAGES = ("probabilities", "logits")
UNSURE_BY = ("confidence", "margin")
#: What `weights` says where they are to be found on `fit_subset`.
FIT = "fit"


@dataclass(frozen=True, kw_only=True)
class Ensemble:
    """How the members' predictions become one.

    Args:
        fusion: `average`; `vote` for each member's likeliest class; `cascade`, which asks the next
            member only where the average of those before it is unsure; or a linear classifier
            over the stacked probabilities: `logistic` regression or `svm`.
        weights: of the members, such as (1, 1.5), in average, vote and cascade; None weighs all
            alike; `fit` finds those of the average on `fit_subset`.
        average: `probabilities`, or `logits`: their logarithms, a geometric mean.
        fit_subset: videos that whatever is fitted is fitted on; scored by all members first.
        regularization: weight of the squared norm of a fitted classifier.
        unsure_by: a cascade looks at the `confidence`, the highest probability, or at the
            `margin`, by which it exceeds the second one.
        threshold: below which a cascade is unsure, in [0, 1]; None finds it on `fit_subset`.
        costs: of one video, one a member, in any unit; None counts the members'
            multiply-accumulates, or takes their measured seconds.

    Raises:
        ValueError: a value out of range.
    """

    fusion: Literal["average", "vote", "cascade", "logistic", "svm"]
    weights: Sequence[float] | Literal["fit"] | None
    average: Literal["probabilities", "logits"]
    fit_subset: str
    regularization: float
    unsure_by: Literal["confidence", "margin"] = "confidence"
    threshold: float | None = None
    costs: Sequence[float] | None = None

    def __post_init__(self) -> None:
        for name, value, valid in (
            ("fusion", self.fusion, FUSIONS),
            ("average", self.average, AVERAGES),
            ("unsure_by", self.unsure_by, UNSURE_BY),
        ):
            if value not in valid:
                raise ValueError(f"ensemble.{name}={value!r} must be one of {', '.join(valid)}")
        self._check_weights()
        if self.regularization < 0:
            raise ValueError(f"ensemble.regularization={self.regularization} must be at least 0")
        if self.threshold is not None and not 0 <= self.threshold <= 1:
            raise ValueError(
                f"ensemble.threshold={self.threshold} must be from 0 to 1, or null to be fitted"
            )
        if self.costs is not None and min(self.costs, default=0) <= 0:
            raise ValueError(f"ensemble.costs={list(self.costs)} must be above 0")
        for name in ("threshold", "costs"):
            if getattr(self, name) is not None and self.fusion != "cascade":
                raise ValueError(f"ensemble.{name} is for ensemble.fusion=cascade")

    def _check_weights(self) -> None:
        if isinstance(self.weights, str):
            if self.weights != FIT or self.fusion != "average":
                raise ValueError(
                    f"ensemble.weights={self.weights} must be a list or null, or, with "
                    f"ensemble.fusion=average, {FIT}"
                )
        elif self.weights is not None and (
            self.fusion in ("logistic", "svm")
            or min(self.weights, default=-1) < 0
            or sum(self.weights) <= 0
        ):
            raise ValueError(
                f"ensemble.weights={list(self.weights)} must be at least 0 and not all 0, and "
                f"belong to ensemble.fusion=average, vote or cascade, not {self.fusion}"
            )

    @property
    def fitted(self) -> bool:
        """Whether anything is found on `fit_subset`."""
        return (
            self.fusion in ("logistic", "svm")
            or self.weights == FIT
            or (self.fusion == "cascade" and self.threshold is None)
        )

    @property
    def given_weights(self) -> tuple[float, ...] | None:
        """The weights that are given; None where all count alike or they are fitted."""
        if self.weights is None or isinstance(self.weights, str):
            return None
        return tuple(self.weights)

    def check_members(self, count: int) -> None:
        """Hold weights and costs against the number of members.

        Raises:
            ConfigError: another number.
        """
        for name, values in (("weights", self.given_weights), ("costs", self.costs)):
            if values is not None and len(values) != count:
                raise ConfigError(
                    f"ensemble.{name} has {len(values)} value(s) for {count} members; give one each"
                )

    def check_subset(self, subset: str) -> None:
        """Refuse to fit on what is scored.

        Raises:
            ConfigError: it is the same subset.
        """
        if self.fitted and self.fit_subset == subset:
            raise ConfigError(
                f"ensemble.fit_subset={self.fit_subset} is the subset that is scored, and what was "
                "fitted on it says nothing; fit on another, such as val"
            )

    @property
    def name(self) -> str:
        """What the protocol of a metric says of it, such as `average_1_1.5` or `cascade_0.8`.

        What was fitted names the subset: `average_fit_val`, `cascade_fit_val`.
        """
        parts: list[str] = [self.fusion]
        if self.average == "logits" and self.fusion in ("average", "cascade"):
            parts.append("geometric")
        if self.unsure_by == "margin" and self.fusion == "cascade":
            parts.append("margin")
        if self.threshold is not None:
            parts.append(f"{self.threshold:g}")
        if self.fitted and self.fusion in ("average", "cascade"):
            parts += [FIT, self.fit_subset]
        weights = [f"{weight:g}" for weight in self.given_weights or ()]
        return "_".join([*parts, *(["by"] if weights and len(parts) > 1 else []), *weights])
