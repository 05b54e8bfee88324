"""Sending at an even rate: small bursts on a millisecond's beat, and no rush after a pause."""

import ctypes
import math
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

BEAT_NS: Final = 1_000_000
LARGEST_BURST: Final = 64
_CATCH_UP: Final = 4
"""Bursts that may be made up for after a pause; what is older is sent later, not faster."""
_PR_SET_TIMERSLACK: Final = 29
_PR_GET_TIMERSLACK: Final = 30

_prctl = ctypes.CDLL(None, use_errno=True).prctl
_prctl.argtypes = (ctypes.c_int, ctypes.c_ulong, ctypes.c_ulong, ctypes.c_ulong, ctypes.c_ulong)


class Pacer:
    """When how many packets may leave. Times are those of the monotonic clock, in nanoseconds.

    A burst is a beat's worth of packets (1 ms), at least one and at most 64; so at 15,000/s 15 leave each millisecond.
    """

    def __init__(self, rate_per_s: float, start_ns: int) -> None:
        if not 0 < rate_per_s < float("inf"):
            raise ValueError(f"the rate must be above 0 and finite, not {rate_per_s} packets a second")
        self.gap_ns = 1e9 / rate_per_s
        self.burst = min(max(round(BEAT_NS / self.gap_ns), 1), LARGEST_BURST)
        self._due_ns = float(start_ns)

    def take(self, now_ns: int, wanted: int) -> int:
        """How many of the wanted packets leave now, a burst at most; they are taken as sent."""
        behind = now_ns - self._due_ns
        if behind < 0:
            return 0
        self._due_ns = max(self._due_ns, now_ns - _CATCH_UP * self.burst * self.gap_ns)
        count = min(int(behind / self.gap_ns) + 1, self.burst, wanted)
        self._due_ns += count * self.gap_ns
        return count

    def wake_ns(self, wanted: int) -> int:
        """When the next burst (of fewer, where fewer are wanted) is due in full."""
        return math.ceil(self._due_ns + (max(min(self.burst, wanted), 1) - 1) * self.gap_ns)

    def hold_until(self, time_ns: int) -> None:
        """Nothing leaves before that time."""
        self._due_ns = max(self._due_ns, float(time_ns))


class Rounds:
    """The turns of many targets: probe j is the one of target j mod T; all at one rate, those of one target apart.

    A round may be hastier than the one before it, after a pause there; no target's probes come closer for that.
    """

    def __init__(self, targets: int, rounds: int, rate_per_s: float, interval_s: float, start_ns: int) -> None:
        self.next = 0
        self._targets, self._probes = targets, targets * rounds
        self._interval_ns = int(interval_s * 1e9)
        self._pacer = Pacer(rate_per_s, start_ns)
        self._left: deque[tuple[int, int]] = deque()  # (the probe after a burst, when it left) not yet an interval ago
        self._free = targets

    @property
    def over(self) -> bool:
        """Whether all have had their turns."""
        return self.next >= self._probes

    @property
    def burst(self) -> int:
        """How many leave at once, at most."""
        return self._pacer.burst

    def take(self, now_ns: int, most: int) -> int:
        """How many leave now, from `next` on, all of one round; `next` is behind them."""
        while self._left and self._left[0][1] + self._interval_ns <= now_ns:
            self._free = self._left.popleft()[0] + self._targets
        count = self._pacer.take(now_ns, room) if (room := min(most, self._room())) > 0 else 0
        if count:
            self.next += count
            self._left.append((self.next, now_ns))
        return count

    def give_back(self, count: int) -> None:
        """The last of what was taken did not leave after all."""
        if count:
            self.next -= count
            self._left.append((self.next, self._left.pop()[1]))

    def wake_ns(self) -> int:
        """When the next burst is due."""
        room = self._room()
        if room <= 0 and self._left:
            self._pacer.hold_until(self._left[0][1] + self._interval_ns)
        return self._pacer.wake_ns(room)

    def _room(self) -> int:
        """How many may leave of this round, as far as the interval goes."""
        if self.over:
            return 0
        return min(self._targets - self.next % self._targets, self._free - self.next)


@contextmanager
def timer_slack(nanoseconds: int = 1) -> Iterator[None]:
    """This thread's sleeps end on time within the block; by default the kernel lets them overrun by 50 µs."""
    before = _prctl(_PR_GET_TIMERSLACK, 0, 0, 0, 0)
    _prctl(_PR_SET_TIMERSLACK, nanoseconds, 0, 0, 0)
    try:
        yield
    finally:
        if before > 0:
            _prctl(_PR_SET_TIMERSLACK, before, 0, 0, 0)


def sleep_until(time_ns: int) -> None:
    """Sleep until the monotonic clock reads that; returns at once where it is past."""
    left = time_ns - time.monotonic_ns()
    if left > 0:
        time.sleep(left / 1e9)
