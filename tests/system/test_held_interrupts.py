"""Short work that an interrupt must not cut in two."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from conformance.system.interrupts import interrupts_held


@pytest.fixture(autouse=True)
def usual_handlers():
    """Whatever the tests run under, Ctrl-C raises here, and SIGTERM ends what it ends."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def interrupt(number: int = signal.SIGINT) -> None:
    os.kill(os.getpid(), number)


def test_the_first_waits():
    done = False
    with interrupts_held() as held:
        assert not held.came
        interrupt()
        done = True
    assert done
    assert held.came


def test_a_second_one_counts_at_once():
    came = []
    with pytest.raises(KeyboardInterrupt), interrupts_held():
        came += [interrupt(), interrupt(), interrupt()]
    assert came == []


def test_afterwards_the_first_counts_again():
    with interrupts_held() as held:
        pass
    assert not held.came
    with pytest.raises(KeyboardInterrupt):
        interrupt()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_what_is_ignored_stays_ignored():
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with interrupts_held() as held:
        interrupt()
    assert not held.came
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


def test_a_handler_of_somebody_elses_is_called_for_the_second():
    seen = []
    signal.signal(signal.SIGTERM, lambda number, _frame: seen.append(number))
    with interrupts_held() as held:
        interrupt(signal.SIGTERM)
        assert seen == []
        interrupt(signal.SIGTERM)
    assert held.came
    assert seen == [signal.SIGTERM]


def test_in_another_thread_there_is_nothing_to_hold():
    came = []

    def work() -> None:
        with interrupts_held() as held:
            came.append(held.came)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert came == [False]
