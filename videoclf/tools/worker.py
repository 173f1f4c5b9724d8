"""One process of a pool: takes a function and then tasks from a pipe, and answers one by one.

Started by `videoclf.tools.pool` as `python -m videoclf.tools.worker <file descriptor>`.
"""

from __future__ import annotations

import ctypes
import signal
import sys
from collections.abc import Sequence
from multiprocessing.connection import Connection
from typing import Any

from videoclf.errors import VideoclfError


def main(arguments: Sequence[str]) -> int:
    """Answer until the pool closes its end of the pipe.

    An answer is (result, None) or (None, error). Any other exception ends the process with exit
    code 1 and its traceback; the pool then names the task.
    """
    _die_with_parent()
    connection: Connection[Any, Any] = Connection(int(arguments[0]))
    try:
        function = connection.recv()
        connection.send("ready")
        while True:
            task = connection.recv()
            try:
                result, error = function(task), None
            except VideoclfError as raised:
                result, error = None, raised
            connection.send((result, error))
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return 0


def _die_with_parent() -> None:
    """Let the kernel end this process when the pool's dies (Linux); a closed pipe does so later."""
    if sys.platform == "linux":
        set_parent_death_signal = 1  # PR_SET_PDEATHSIG of <sys/prctl.h>
        ctypes.CDLL(None).prctl(set_parent_death_signal, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
