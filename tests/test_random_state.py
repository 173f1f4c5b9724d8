import random

import numpy as np
import torch

from videoclf.random_state import seed_step

PLACE = {"seed": 0, "epoch": 2, "batch": 3, "rank": 0}


def draw(**changes):
    seed_step(**{**PLACE, **changes})
    return random.random(), float(np.random.random()), torch.rand(3).tolist()


def test_a_step_draws_the_same_whatever_was_drawn_before():
    first = draw()
    torch.rand(100), np.random.random(5), random.random()
    assert draw() == first


def test_each_place_draws_its_own():
    changes = [{}, {"seed": 1}, {"epoch": 3}, {"batch": 4}, {"rank": 1}]
    assert len({str(draw(**each)) for each in changes}) == len(changes)
