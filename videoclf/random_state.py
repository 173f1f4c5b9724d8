"""Chance in a training step depends on (seed, epoch, batch, rank), not on what was drawn before.

Whatever draws without a generator of its own, dropout above all, draws from the state set here. So
a run that was stopped and resumed draws what it would have drawn, and nothing needs to be stored.
"""

from __future__ import annotations

import random

import numpy as np
import torch


def seed_step(*, seed: int, epoch: int, batch: int, rank: int) -> None:
    """Set the random states of Python, numpy and torch, on every device, for one training step."""
    words = np.random.SeedSequence((seed, epoch, batch, rank)).generate_state(3, np.uint64)
    random.seed(int(words[0]))
    np.random.seed(int(words[1]) % 2**32)
    torch.manual_seed(int(words[2]) % 2**63)
