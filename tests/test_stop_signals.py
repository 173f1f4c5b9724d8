import os
import signal
import time

import pytest

from videoclf.stop_signals import Stopped, StopSignals


@pytest.fixture
def stop():
    """Signals received for the time of a test."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    stop = StopSignals()
    stop.install()
    yield stop
    for number, handler in before.items():
        signal.signal(number, handler)


class Alone:
    world_size = 1


def send(number):
    os.kill(os.getpid(), number)
    time.sleep(0.01)


def test_outside_training_it_ends_at_once(stop):
    with pytest.raises(Stopped) as raised:
        send(signal.SIGTERM)
    assert raised.value.number == signal.SIGTERM


def test_in_training_it_waits_for_the_step(stop):
    stop.on_train_start(Alone(), None)
    assert stop.exchange(save=False) == (0, False)
    send(signal.SIGINT)
    assert stop.exchange(save=True) == (signal.SIGINT, True)
    with pytest.raises(Stopped):
        stop.on_validation_start(Alone(), None)


def test_a_second_signal_does_not_disturb_the_way_out(stop):
    stop.on_train_start(Alone(), None)
    send(signal.SIGINT)
    send(signal.SIGTERM)
    assert stop.received == signal.SIGINT


def test_after_a_validation_it_waits_again(stop):
    stop.on_train_start(Alone(), None)
    stop.on_validation_start(Alone(), None)
    stop.on_validation_end(Alone(), None)
    send(signal.SIGTERM)
    assert stop.received == signal.SIGTERM
