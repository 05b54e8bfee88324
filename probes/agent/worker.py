"""The one thread that measures: a piece at a time, so that no sweep runs beside a bandwidth test.

A piece that does not return in time is given up with its thread; the next piece gets another one. What was measured
while the machine slept is thrown away; where the wall clock moved, the records say so.
"""

import os
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Final, NamedTuple

from probes.agent.config import Method
from probes.methods.endpoint import Endpoint
from probes.record import Record
from probes.wire.clock import SUSPENDED_NS, Reading

MOST_HUNG: Final = 3


class Piece(NamedTuple):
    """A part of a round: endpoints that are measured together, how, how long and with how many bytes at most."""

    method: str
    settings: Method
    endpoints: tuple[Endpoint, ...]
    limit_s: float
    max_bytes: int = 0


class Outcome(NamedTuple):
    """What came of a piece: records, or why there are none (`slept`, or what the method raised)."""

    piece: Piece
    records: list[Record]
    slept: bool = False
    failure: str | None = None


class TooManyHungError(RuntimeError):
    """Methods that never returned hold so many threads that the process has to begin anew."""


class Worker:
    """Measures pieces with `measure`; `done_fd` is readable when an outcome waits."""

    def __init__(self, measure: Callable[[Piece], list[Record]], reading: Callable[[], Reading] = Reading.now) -> None:
        self._measure, self._reading = measure, reading
        self.done_fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._outcomes: queue.SimpleQueue[Outcome] = queue.SimpleQueue()
        self._todo: queue.SimpleQueue[Piece | None] | None = None
        self._piece: Piece | None = None
        self._began_s = 0.0
        self._hung = 0

    @property
    def piece(self) -> Piece | None:
        """What is being measured, None where nothing is."""
        return self._piece

    def begin(self, piece: Piece) -> None:
        """Measures a piece; there must be none."""
        if self._piece is not None:
            raise RuntimeError(f"{self._piece.method} is still being measured")
        if self._todo is None:
            self._todo = queue.SimpleQueue()
            threading.Thread(target=self._work, args=(self._todo,), name="measuring", daemon=True).start()
        self._piece, self._began_s = piece, time.monotonic()
        self._todo.put(piece)

    def finished(self) -> Outcome | None:
        """The outcome of the piece, once; None while it is not over. Raises TooManyHungError."""
        while not self._outcomes.empty():
            outcome = self._outcomes.get()
            if outcome.piece is self._piece:
                self._piece = None
                return outcome
        piece = self._piece
        if piece is not None and time.monotonic() - self._began_s > piece.limit_s:
            return self._given_up(piece)
        return None

    def clear(self) -> None:
        """Makes `done_fd` unreadable again."""
        try:
            os.eventfd_read(self.done_fd)
        except BlockingIOError:
            return

    def close(self) -> None:
        """Ends the thread when it is idle; one that measures is left behind, as a daemon."""
        if self._todo is not None:
            self._todo.put(None)
        self._todo = None

    def _given_up(self, piece: Piece) -> Outcome:
        self._hung += 1
        self._piece = self._todo = None
        if self._hung > MOST_HUNG:
            raise TooManyHungError(f"{piece.method} did not return within {piece.limit_s:g} s, once more")
        return Outcome(piece, [], failure=f"did not return within {piece.limit_s:g} s")

    def _work(self, todo: "queue.SimpleQueue[Piece | None]") -> None:
        while (piece := todo.get()) is not None:
            self._outcomes.put(self._measured(piece))
            os.eventfd_write(self.done_fd, 1)

    def _measured(self, piece: Piece) -> Outcome:
        before = self._reading()
        try:
            records = self._measure(piece)
        except Exception as error:  # whatever it is, the agent goes on with its other methods
            return Outcome(piece, [], failure=f"{type(error).__name__}: {error}")
        after = self._reading()
        if before.suspended_ns(after) >= SUSPENDED_NS:
            return Outcome(piece, [], slept=True)
        if not _steady(before, after):
            records = [replace(record, clock_ok=False) for record in records]
        return Outcome(piece, records)


def _steady(before: Reading, after: Reading) -> bool:
    """As `Reading.steady`, but NTP may slew for as long as the piece took (at most 500 ppm)."""
    took_ns = after.monotonic_ns - before.monotonic_ns
    return abs(before.step_ns(after)) <= 1_000_000 + took_ns // 1000
