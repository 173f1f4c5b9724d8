"""What the library says while it works, such as what is held out or left out: lines on stderr."""

from __future__ import annotations

import logging
import sys


class _Lines(logging.Handler):
    """Writes to whatever stderr is at that moment."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line."""
        sys.stderr.write(f"{self.format(record)}\n")


def show_log() -> None:
    """Let the program that runs show the library's log; without effect the second time."""
    log = logging.getLogger("videoclf")
    if not log.handlers:
        log.addHandler(_Lines())
        log.setLevel(logging.INFO)
