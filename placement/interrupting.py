"""SIGINT and SIGTERM while a plan is made: the first asks for the best plan so far, a second one ends everything."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic
from types import FrameType
from typing import TypeVar

Interrupted = Callable[[], bool]
"""Whether a run was asked to end; long work polls it."""

ONE_PRESS_S = 0.5
"""Signals closer than this count as one: a terminal and a wrapper that passes its own on both send one."""
POLL_S = 0.1

SIGNALS = (signal.SIGINT, signal.SIGTERM)

Found = TypeVar("Found")


class AbortedError(BaseException):
    """A second signal: end at once and write nothing. No `except Exception` holds it back."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


def never() -> bool:
    """Of runs that nobody interrupts."""
    return False


class Stop:
    """What the signals have asked for so far; calling it says whether there was one."""

    def __init__(self) -> None:
        self.first_s: float | None = None

    def __call__(self) -> bool:
        return self.first_s is not None

    def on_signal(self, number: int, _: FrameType | None) -> None:
        """Remember the first signal.

        Raises:
            AbortedError: it is a second one.
        """
        now_s = monotonic()
        if self.first_s is None:
            self.first_s = now_s
        elif now_s - self.first_s >= ONE_PRESS_S:
            raise AbortedError(number)


@contextmanager
def stop_on_signals() -> Iterator[Stop]:
    """Take SIGINT and SIGTERM within the block and give them back after it.

    Only the main thread can take them, and those that the process was started to ignore stay ignored.
    """
    stop = Stop()
    before = {}
    if threading.current_thread() is threading.main_thread():
        before = {number: signal.getsignal(number) for number in SIGNALS}
    taken = {number: old for number, old in before.items() if old not in (signal.SIG_IGN, None)}
    for number in taken:
        signal.signal(number, stop.on_signal)
    try:
        yield stop
    finally:
        for number, old in taken.items():
            signal.signal(number, old)


_abandoned: list[threading.Thread] = []


def unless_interrupted(interrupted: Interrupted, call: Callable[[], Found]) -> Found | None:
    """What `call` returns or raises; None as soon as the run is interrupted.

    For solvers that cannot be stopped: `call` runs in a thread of its own, which is left behind then (`left_behind`).
    """
    found: list[Found] = []
    raised: list[BaseException] = []

    def run() -> None:
        try:
            found.append(call())
        except BaseException as error:  # raised again below, where it was asked for
            raised.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    while thread.is_alive():
        thread.join(POLL_S)
        if thread.is_alive() and interrupted():
            _abandoned.append(thread)
            return None
    if raised:
        raise raised[0]
    return found[0]


def left_behind() -> bool:
    """Whether a solver that nobody waits for still runs: the process should then end without tidying up under it."""
    return any(thread.is_alive() for thread in _abandoned)
