"""Multigrid training: coarse clips in large batches first, fine clips in small ones at the end.

A step costs about the same whatever its grid, because what a clip loses in frames and pixels the
batch gains in videos: B videos of T x S x S cost as much as 8 B of T/4 x S/sqrt(2) x S/sqrt(2).
An epoch still reads every video once; it only takes fewer steps.

    long cycle   8 B of T/4, S/sqrt(2);  4 B of T/2, S/sqrt(2);  2 B of T/2, S;  B of T, S
    short cycle  from step to step: at most S/2, at most S/sqrt(2), the whole S of the long cycle

The four grids of a long cycle take equal numbers of steps. The last part of the training has the
finest grid alone (and the short cycle), as the test does. The learning rate follows the batch of
the long cycle, by the optimiser's `batch_rule`; the short cycle leaves it alone.

A plan is arithmetic on (videos, global batch, epochs): every rank and every restart makes the same.

Source: Wu et al. 2020, "A Multigrid Method for Efficiently Training Video Models". There the cycles
are tied to the stages of a stepped learning rate; here they share out a cosine's training.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from videoclf.types import ClipShape

#: A grid of the long cycle: videos of a step in multiples of B, share of T, share of S squared.
LONG_CYCLE = ((8, 4, 2), (4, 2, 2), (2, 2, 1), (1, 1, 1))
#: Of the short cycle: S squared is at most this part of its whole.
SHORT_CYCLE = (4, 2, 1)


@dataclass(frozen=True)
class Grid:
    """What the steps of one kind look like.

    Args:
        shape: of their clips.
        scale: videos of a step, in multiples of the global batch.
        rate_scale: likewise, of the batch that the learning rate follows.
    """

    shape: ClipShape
    scale: int
    rate_scale: int


class Multigrid:
    """The setting `multigrid` of a training.

    Args:
        long_cycles: times that the long cycle is gone through; 0 for none.
        short_cycle: whether successive steps have other crops.
        fine_fraction: share of the videos read that belongs to the finest grid at the end.
        round_pixels: edges of crops are multiples of it, at least one.

    Raises:
        ValueError: a value out of range, or neither cycle.
    """

    def __init__(
        self, *, long_cycles: int, short_cycle: bool, fine_fraction: float, round_pixels: int
    ) -> None:
        if long_cycles < 0:
            raise ValueError(f"multigrid.long_cycles={long_cycles} must be at least 0")
        if not long_cycles and not short_cycle:
            raise ValueError(
                "multigrid.long_cycles=0 and multigrid.short_cycle=false leave nothing to do; "
                "set multigrid=null"
            )
        if not 0 <= fine_fraction < 1:
            raise ValueError(f"multigrid.fine_fraction={fine_fraction} must be in [0, 1)")
        if round_pixels < 1:
            raise ValueError(f"multigrid.round_pixels={round_pixels} must be at least 1")
        self.long_cycles = long_cycles
        self.short_cycle = short_cycle
        self.fine_fraction = fine_fraction
        self.round_pixels = round_pixels

    def grids(self, whole: ClipShape) -> tuple[tuple[Grid, ...], ...]:
        """Return the grids of each stage of the long cycle; successive steps take turns in them.

        For 16 frames of 224 pixels, both cycles and multiples of 16, the first stage has 16 B
        of 4x112x112, 8 B of 4x160x160, 8 B of 4x160x160; the last 4 B of 16x112x112, 2 B of
        16x160x160, B of 16x224x224.
        """
        stages = []
        for scale, frames, area in LONG_CYCLE if self.long_cycles else LONG_CYCLE[-1:]:
            turns = SHORT_CYCLE if self.short_cycle else (1,)
            stages.append(
                tuple(
                    Grid(
                        shape=ClipShape(
                            num_frames=max(1, round(whole.num_frames / frames)),
                            crop_pixels=self._edge(whole.crop_pixels, max(area, turn)),
                        ),
                        scale=scale * max(area, turn) // area,
                        rate_scale=scale,
                    )
                    for turn in turns
                )
            )
        return tuple(stages)

    def _edge(self, pixels: int, area: int) -> int:
        if area == 1:
            return pixels
        return max(1, round(pixels / math.sqrt(area) / self.round_pixels)) * self.round_pixels

    def shapes(self, whole: ClipShape) -> tuple[ClipShape, ...]:
        """Return the shapes of all clips, each once, from the coarsest stage on."""
        return tuple(dict.fromkeys(grid.shape for stage in self.grids(whole) for grid in stage))

    def stage_ends(self, grids: tuple[tuple[Grid, ...], ...]) -> list[tuple[float, int]]:
        """Return where each stage ends, as a share of the videos read, and which stage it is.

        Without a short cycle, one long cycle and a fine part of 0.2: stages 0 to 3 end at 0.427,
        0.64, 0.747 and 0.8, and the finest at 1.
        """
        weights = [sum(grid.scale for grid in stage) / len(stage) for stage in grids]
        share = (1 - self.fine_fraction) / max(1, self.long_cycles) / sum(weights)
        ends: list[tuple[float, int]] = []
        at = 0.0
        for _ in range(self.long_cycles):
            for stage, weight in enumerate(weights):
                at += weight * share
                ends.append((at, stage))
        return [*ends, (math.inf, len(grids) - 1)]


class MultigridPlan:
    """Which grid each step of a training has.

    Args:
        settings: the cycles.
        whole: the finest clip, that of the config.
        units: global batches of the plain schedule in an epoch.
        epochs: of the training.
    """

    def __init__(self, settings: Multigrid, *, whole: ClipShape, units: int, epochs: int) -> None:
        self.units = units
        self.epochs = epochs
        stages = settings.grids(whole)
        self.grids = tuple(grid for stage in stages for grid in stage)
        turns = len(stages[0])
        ends = settings.stage_ends(stages)
        chosen: list[int] = []
        scales: list[int] = []
        self._first_step = [0]
        for epoch in range(epochs):
            read = step = 0
            while read < units:
                done = (epoch * units + read) / (epochs * units)
                stage = next(stage for end, stage in ends if done < end - 1e-9)
                grid = stage * turns + step % turns
                scales.append(min(self.grids[grid].scale, units - read))
                chosen.append(grid)
                read += scales[-1]
                step += 1
            self._first_step.append(len(chosen))
        self._chosen = np.array(chosen, np.int8)
        self._scales = np.array(scales, np.int32)

    def __len__(self) -> int:
        return len(self._chosen)

    def steps(self, epoch: int) -> list[tuple[int, ClipShape]]:
        """Return the steps of an epoch: videos in multiples of the global batch, and their shape.

        The multiples add up to `units`: the last step takes what is left.
        """
        own = slice(*self._first_step[min(epoch, self.epochs - 1) :][:2])
        chosen, scales = self._chosen[own].tolist(), self._scales[own].tolist()
        return [(s, self.grids[g].shape) for g, s in zip(chosen, scales, strict=True)]

    @cached_property
    def _read(self) -> np.ndarray:
        """Units read before each step, int64 (steps + 1,)."""
        return np.concatenate([[0], np.cumsum(self._scales)])

    def plain_step(self, step: int) -> int:
        """Return which step of the plain schedule has read as many videos."""
        return int(self._read[min(step, len(self))])

    def rate_scale(self, step: int) -> float:
        """Return how much larger than B the batch is that the learning rate of a step follows."""
        at = min(step, len(self) - 1)
        return float(min(self.grids[self._chosen[at]].rate_scale, self._scales[at]))
