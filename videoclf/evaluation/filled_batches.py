"""Full batches for a network, in whatever numbers its inputs arrive.

A video of 30 views, or a few videos of 3, seldom make a whole number of batches. What is left over
waits for the next video, so that the device is filled alike by any protocol.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from typing import Generic, TypeVar

import torch

Tag = TypeVar("Tag")


class FilledBatches(Generic[Tag]):
    """Runs a network on batches of one size; gives each group of inputs its outputs.

    Args:
        network: inputs (N, ...) by name -> outputs (N, ...), each row by itself.
        at_once: N of every batch but the last.
    """

    def __init__(
        self, network: Callable[[Mapping[str, torch.Tensor]], torch.Tensor], *, at_once: int
    ) -> None:
        self.network = network
        self.at_once = at_once
        self._inputs: deque[Mapping[str, torch.Tensor]] = deque()
        self._outputs: deque[torch.Tensor] = deque()
        self._groups: deque[tuple[Tag, int]] = deque()
        self._num_inputs = self._num_outputs = 0

    def add(self, inputs: Mapping[str, torch.Tensor], tag: Tag) -> list[tuple[Tag, torch.Tensor]]:
        """Take a group of inputs (n, ...) in.

        Returns:
            The groups that are done by now, each as its tag and its outputs (n, ...), in the order
            in which they came.
        """
        count = _length(inputs)
        self._groups.append((tag, count))
        self._inputs.append(inputs)
        self._num_inputs += count
        while self._num_inputs >= self.at_once:
            self._run(self.at_once)
        return self._done()

    def rest(self) -> list[tuple[Tag, torch.Tensor]]:
        """Run what is left, a smaller batch, and return the groups that are done with it."""
        if self._num_inputs:
            self._run(self._num_inputs)
        return self._done()

    def _run(self, count: int) -> None:
        taken: list[Mapping[str, torch.Tensor]] = []
        wanted = count
        while wanted:
            first = self._inputs.popleft()
            if (length := _length(first)) > wanted:
                self._inputs.appendleft({name: x[wanted:] for name, x in first.items()})
                first, length = {name: x[:wanted] for name, x in first.items()}, wanted
            taken.append(first)
            wanted -= length
        self._num_inputs -= count
        self._num_outputs += count
        batch = taken[0]
        if len(taken) > 1:
            batch = {name: torch.cat([each[name] for each in taken]) for name in batch}
        self._outputs.append(self.network(batch))

    def _done(self) -> list[tuple[Tag, torch.Tensor]]:
        done: list[tuple[Tag, torch.Tensor]] = []
        while self._groups and self._groups[0][1] <= self._num_outputs:
            tag, count = self._groups.popleft()
            done.append((tag, self._take_outputs(count)))
        return done

    def _take_outputs(self, count: int) -> torch.Tensor:
        self._num_outputs -= count
        pieces: list[torch.Tensor] = []
        while count:
            first = self._outputs.popleft()
            if len(first) > count:
                self._outputs.appendleft(first[count:])
                first = first[:count]
            pieces.append(first)
            count -= len(first)
        return pieces[0] if len(pieces) == 1 else torch.cat(pieces)


def _length(inputs: Mapping[str, torch.Tensor]) -> int:
    return len(next(iter(inputs.values())))
