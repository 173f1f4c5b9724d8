"""Whole runs in forks of the test's process, as the ladder trains its cells: no start of torch.

For tests of what a run leaves. Where the processes are the point, `train_tiny` starts real ones.
"""

import atexit
import multiprocessing
import sys
import warnings

import videoclf.run
from tests.conftest import TINY, TINY_MODEL
from tests.forked_ranks import run_ranks
from videoclf.cli.ladder_cell import train_cell


def train_forked(folder, *arguments, code=0):
    """Train as `train_tiny` does, in a fork that ends with a code; return what it has said."""
    settings = [*TINY, *TINY_MODEL] if not any("model=" in a for a in arguments) else TINY
    return fork_training(folder, *settings, *arguments, code=code)


def fork_training(folder, *arguments, code=0):
    """Train with these settings alone."""
    log = folder.with_name(f"{folder.name}.log")
    fork = multiprocessing.get_context("fork")
    process = fork.Process(target=_train_cell, args=(arguments, str(folder), str(log)))
    process.start()
    process.join()
    said = log.read_text()
    assert process.exitcode == code, said
    return said


def _train_cell(*arguments):
    _forget_pytest()
    train_cell(*arguments)


def evaluate_forked(folder, world):
    """Evaluate by the `config.yaml` of a run folder, on several ranks."""
    run_ranks(world, lambda _: _evaluate(folder))


def _evaluate(folder):
    _forget_pytest()
    videoclf.run.exit_now(videoclf.run.main(["evaluate", str(folder)]))


def _forget_pytest():
    """What pytest captures, turns into errors, or does at the end of its process."""
    sys.stdout, sys.stderr = sys.__stdout__, sys.__stderr__
    warnings.resetwarnings()
    atexit._clear()
