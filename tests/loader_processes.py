"""Finds the loader processes of a run from outside, and stops one while it has a video open."""

import os
import signal
import time
from pathlib import Path


def children(parent):
    """Processes that a process has started itself, from any of its threads."""
    found = []
    for tasks in Path(f"/proc/{parent}/task").glob("*/children"):
        try:
            found += [int(pid) for pid in tasks.read_text().split()]
        except OSError:
            continue
    return found


def open_videos(pid):
    """Paths of the .mp4 files that a process has open."""
    paths = []
    for link in Path(f"/proc/{pid}/fd").glob("*"):
        try:
            path = str(link.readlink())
        except OSError:
            continue
        if path.endswith(".mp4"):
            paths.append(path)
    return paths


def stop_worker_on_a_file(launcher, *, timeout=60.0):
    """Stop a loader process of a run while it reads; return its number and the file's path."""
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        for rank in children(launcher):
            for worker in children(rank):
                try:
                    os.kill(worker, signal.SIGSTOP)
                    time.sleep(0.002)  # until it has stopped
                    if paths := open_videos(worker):
                        return worker, paths[0]
                    os.kill(worker, signal.SIGCONT)
                except ProcessLookupError:
                    continue
        time.sleep(0.001)
    raise AssertionError("no loader process was found with a file open")
