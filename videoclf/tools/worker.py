"""One process of a pool: takes a function and then tasks from a pipe, and answers one by one.

Started by `videoclf.tools.pool` as `python -m videoclf.tools.worker <file descriptor>`.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from multiprocessing.connection import Connection
from typing import Any

from videoclf.errors import VideoclfError
from videoclf.parent import die_with_parent


def main(arguments: Sequence[str]) -> int:
    """Answer until the pool closes its end of the pipe.

    An answer is (result, None, seconds) or (None, error, seconds): what the task took is measured
    here, so that a pool that is itself held up still knows. Any other exception ends the process
    with exit code 1 and its traceback; the pool then names the task.
    """
    die_with_parent()
    connection: Connection[Any, Any] = Connection(int(arguments[0]))
    try:
        function = connection.recv()
        connection.send("ready")
        while True:
            task = connection.recv()
            began = time.monotonic()
            try:
                result, error = function(task), None
            except VideoclfError as raised:
                result, error = None, raised
            connection.send((result, error, time.monotonic() - began))
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
