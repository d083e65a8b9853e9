"""Signals: the first asks for the end and wakes a sleeper, the next one is the system's."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from threading import Timer

import pytest

from credsync.cli.interruption import Interruption

SIGNALS = [signal.SIGINT, signal.SIGTERM]


@pytest.fixture(autouse=True)
def _handlers_as_before() -> Iterator[None]:
    """Leave the process as it was, whatever a test breaks."""
    before = {number: signal.getsignal(number) for number in SIGNALS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", SIGNALS)
def test_the_first_signal_asks_for_the_end(number: signal.Signals) -> None:
    """A signal is announced, and asks for the end instead of ending."""
    interruption = Interruption()
    announced: list[bool] = []
    with interruption.listening(lambda: announced.append(interruption.is_wanted)):
        assert not interruption.is_wanted
        signal.raise_signal(number)
    assert announced == [True]


@pytest.mark.parametrize("number", SIGNALS)
def test_the_second_signal_is_the_systems(number: signal.Signals) -> None:
    """After the first signal, either of them ends the process at once."""
    with Interruption().listening(lambda: None):
        signal.raise_signal(number)
        assert [signal.getsignal(each) for each in SIGNALS] == [signal.SIG_DFL, signal.SIG_DFL]


def test_handlers_come_back() -> None:
    """Once the run is over, signals do what they did before."""
    before = [signal.getsignal(number) for number in SIGNALS]
    with Interruption().listening(lambda: None):
        signal.raise_signal(signal.SIGTERM)
    assert [signal.getsignal(number) for number in SIGNALS] == before


def test_what_is_ignored_stays_ignored() -> None:
    """A process that was started with a signal ignored goes on ignoring it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    interruption = Interruption()
    with interruption.listening(lambda: None):
        signal.raise_signal(signal.SIGINT)
    assert not interruption.is_wanted


def test_a_sleep_ends_with_the_signal() -> None:
    """A signal wakes a sleeper, and no later sleep begins."""
    interruption = Interruption()
    with interruption.listening(lambda: None):
        alarm = Timer(0.05, os.kill, [os.getpid(), signal.SIGTERM])
        alarm.start()
        begun = time.monotonic()
        interruption.sleep(20)
        interruption.sleep(20)
        assert time.monotonic() - begun < 10
        alarm.join()
    assert interruption.is_wanted


def test_a_sleep_lasts_its_time() -> None:
    """Without a signal, a sleep lasts as long as it was asked to; the longest there is, too, is one."""
    begun = time.monotonic()
    Interruption().sleep(0.02)
    assert time.monotonic() - begun >= 0.02
