"""Processes that hang are killed and replaced, and those that die are: the other tasks go on."""

import signal
import time
from contextlib import closing

import pytest

from videoclf.errors import ConfigError, WorkerError
from videoclf.launch import count_ranks
from videoclf.tools.pool import Finished, Lost, Pool


def run(function, tasks, *, num_processes=1, seconds=20.0):
    pool = Pool(function, num_processes=num_processes, seconds_per_task=seconds)
    with closing(pool.run(tasks)) as ended:
        return list(ended)


def test_every_task_is_answered_once():
    ended = run(len, [[0] * n for n in range(50)], num_processes=2)
    assert sorted(each.result for each in ended) == list(range(50))
    assert all(isinstance(each, Finished) and len(each.task) == each.result for each in ended)


def test_tasks_are_taken_as_they_are_needed():
    taken = []

    def tasks():
        for n in range(100):
            taken.append(n)
            yield [0] * n

    pool = Pool(len, num_processes=1, seconds_per_task=20.0)
    with closing(pool.run(tasks())) as ended:
        next(ended)
        assert len(taken) == 2  # one is finished, one under way


def test_a_hanging_task_is_lost_and_its_process_replaced():
    ended = run(time.sleep, [0.0, 600, 0.0], seconds=0.5)
    assert [type(each) for each in ended] == [Finished, Lost, Finished]
    assert ended[1] == Lost(600, None, "took longer than 0.5 s")


def test_a_late_result_is_late_though_nobody_was_looking():
    pool = Pool(time.sleep, num_processes=2, seconds_per_task=0.3)
    with closing(pool.run([0.0, 0.6])) as ended:
        assert next(ended) == Finished(0.0, None)
        time.sleep(3)  # the other task ends meanwhile, and is met as a result, not as a deadline
        assert next(ended) == Lost(0.6, None, "took longer than 0.3 s")


def test_a_dying_process_is_replaced():
    ended = run(signal.raise_signal, [0, signal.SIGSEGV, 0])
    assert [type(each) for each in ended] == [Finished, Lost, Finished]
    assert ended[1].reason == "ended its process with signal 11 (SIGSEGV)"
    killed = run(signal.raise_signal, [signal.SIGKILL])
    assert "SIGKILL, often for lack of memory" in killed[0].reason


def test_an_exception_is_a_lost_task(capfd):
    ended = run(len, [[1], 5, [2]])
    assert [each.reason for each in ended if isinstance(each, Lost)] == [
        "ended its process with exit code 1"
    ]
    assert "TypeError: object of type 'int' has no len()" in capfd.readouterr().err


def test_many_exceptions_in_a_row_stop_the_run(monkeypatch, capfd):
    monkeypatch.setattr("videoclf.tools.pool.MAX_LOST_IN_A_ROW", 2)
    with pytest.raises(WorkerError, match="2 processes in a row ended with an error"):
        run(len, [1, 2, 3])
    assert "TypeError" in capfd.readouterr().err


def test_our_own_errors_stop_the_run():
    trainer = {"accelerator": "cpu", "devices": 0, "num_nodes": 1, "precision": "32-true"}
    with pytest.raises(ConfigError, match="trainer.devices=0 asks for 0"):
        run(count_ranks, [trainer])


def test_closing_kills_the_processes():
    pool = Pool(time.sleep, num_processes=2, seconds_per_task=600)
    ended = pool.run([0.0, 600, 600])
    next(ended)
    began = time.monotonic()
    ended.close()
    assert time.monotonic() - began < 5


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_processes": 0, "seconds_per_task": 1}, "must be at least 1, not 0"),
        ({"num_processes": 1, "seconds_per_task": 0}, "must be above 0 s, not 0"),
    ],
)
def test_settings_are_checked(settings, message):
    with pytest.raises(ValueError, match=message):
        Pool(len, **settings)
