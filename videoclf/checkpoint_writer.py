"""Checkpoints on their way to the disk: at once, or in a thread while the training goes on.

What is to be written has been copied from the weights before, so that the training may change
them. Writes and removals happen in the order in which they were asked for, and one that failed is
said at the next save, or at the end.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

#: Checkpoints that may wait in memory, such as the best and the last of one step.
MOST_WAITING = 2


class CheckpointWriter:
    """Does what it is told, in order.

    Args:
        asynchronous: in a thread, rather than at once.
    """

    def __init__(self, *, asynchronous: bool) -> None:
        self._pool = ThreadPoolExecutor(1, "checkpoints") if asynchronous else None
        self._waiting: list[Future[None]] = []

    def do(self, work: Callable[[], None]) -> None:
        """Write or remove something; where too much waits, wait for the first of it.

        Raises:
            StorageError: this, or an earlier write, has failed.
        """
        if self._pool is None:
            work()
            return
        while self._waiting and (self._waiting[0].done() or len(self._waiting) >= MOST_WAITING):
            self._waiting.pop(0).result()
        self._waiting.append(self._pool.submit(work))

    def finish(self) -> None:
        """Wait until all is done.

        Raises:
            StorageError: a write has failed.
        """
        while self._waiting:
            self._waiting.pop(0).result()
