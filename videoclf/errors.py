"""What can go wrong, each kind with the exit code of its process.

Every message is one sentence or two: what went wrong, the file and line or the value, and what
to do. `ValueError` from a constructor becomes a `ConfigError` at the entry point, so that
arithmetic modules need not know this file.
"""

from __future__ import annotations

import os
import sys
from typing import ClassVar

from videoclf.reports.redaction import redact_text


class VideoclfError(Exception):
    """An error with an exit code; its text is a sentence for the user."""

    exit_code: ClassVar[int] = 1


class ConfigError(VideoclfError, ValueError):
    """Mended by editing a config, an override or an annotation file."""

    exit_code = 2


class DataError(VideoclfError):
    """Mended by changing media files or folders: missing root, missing or unreadable files."""

    exit_code = 3


class UnreadableVideoError(DataError):
    """One video cannot be read.

    Args:
        path: the file, as it was given to the reader.
        reason: why, without the path; a clause such as "no video stream".
    """

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"cannot read video {path}: {reason}")
        self.path = path
        self.reason = reason

    def __reduce__(self) -> tuple[type[UnreadableVideoError], tuple[str, str]]:
        """Travel from a worker process by its two arguments, not by its text."""
        return type(self), (self.path, self.reason)


class NonFiniteLossError(VideoclfError):
    """The loss or a gradient is NaN or infinite; raised before the optimiser steps."""

    exit_code = 4


class CheckpointError(VideoclfError):
    """A checkpoint is missing, damaged, unsafe, or of other classes than the data."""

    exit_code = 5


class StorageError(VideoclfError):
    """A disk is full or a folder cannot be written."""

    exit_code = 6


class WorkerError(VideoclfError):
    """A rank or a loader worker died without an error of its own."""

    exit_code = 7


def end_with(sentence: str, exit_code: int) -> int:
    """Write the last line on stderr for the error that is being handled; return the exit code.

    With `VIDEOCLF_TRACEBACK=1` in the environment the error is raised again, to show where.
    """
    if os.environ.get("VIDEOCLF_TRACEBACK") == "1":
        raise
    sys.stderr.write(f"error: {redact_text(sentence)}\n")
    return exit_code
