import pytest

from videoclf.ladder.attempts import Attempt
from videoclf.ladder.cells import Measured
from videoclf.ladder.strategies import STRATEGIES
from videoclf.ladder.tasks import COLUMNS, MORE_COLUMNS


@pytest.fixture
def row():
    return {strategy.name: strategy for strategy in STRATEGIES}.__getitem__


@pytest.fixture
def column():
    return {column.name: column for column in (*COLUMNS, *MORE_COLUMNS)}.__getitem__


@pytest.fixture
def measured():
    def make(test, **changes):
        values = {
            "test": test,
            "num_clips": 480,
            "val": test,
            "train": test,
            "attempt": Attempt(4, 0.003),
            "num_attempts": 1,
            "seconds": 20.0,
            "num_steps": 300,
        }
        return Measured(**{**values, **changes})

    return make
