"""SIGINT and SIGTERM end a long tool in order: processes ended, journal saved, a sentence said."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class _StoppedError(BaseException):
    """A signal asked the tool to stop; no handler of errors may take it for one."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


@contextmanager
def stoppable(sentence: str) -> Iterator[None]:
    """Let both signals end the block by an exception, and the process with 130 or 143.

    Args:
        sentence: what the last line on stderr says, after the signal's name.
    """

    def stop(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
        raise _StoppedError(number)

    previous = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    except _StoppedError as stopped:
        name = signal.Signals(stopped.number).name
        sys.stderr.write(f"error: stopped by {name}; {sentence}\n")
        raise SystemExit(128 + stopped.number) from None
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
