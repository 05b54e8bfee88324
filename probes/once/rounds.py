"""Round after round over the same endpoints, each a sweep of one probe, so that a person sees it grow."""

import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

import numpy as np

from probes.methods.endpoint import Endpoint
from probes.methods.sweep import Sweep
from probes.statistics import Summary, summarise

RATE_PER_S: Final = 1000.0
"""The probes of one round leave a millisecond apart."""


class Sweeper(Protocol):
    """`sweep` of a method."""

    def __call__(self, endpoints: Sequence[Endpoint], *, probes: int, rate_per_s: float, timeout_s: float) -> Sweep: ...


@dataclass
class Tally:
    """What came of one endpoint so far, probe by probe: `rtt_ms` None without a usable time, `answered` or lost."""

    rtt_ms: list[float | None] = field(default_factory=list)
    answered: list[bool] = field(default_factory=list)
    errors: dict[str, None] = field(default_factory=dict)

    def add(self, sweep: Sweep, row: int) -> None:
        """Adds the probes of a sweep's row that left; those that did not are no loss of the network's."""
        for sent, rtt, answered in zip(sweep.sent_at_ns[row], sweep.rtt_ms[row], sweep.answered[row], strict=True):
            if sent > 0:
                usable = bool(answered) and np.isfinite(rtt) and rtt > 0
                self.rtt_ms.append(float(rtt) if usable else None)
                self.answered.append(bool(answered))
        if row in sweep.errors:
            self.errors[sweep.errors[row]] = None

    @property
    def summary(self) -> Summary:
        return summarise(self.rtt_ms, len(self.answered), sum(self.answered))


def rounds(
    sweep: Sweeper,
    endpoints: Sequence[Endpoint],
    *,
    count: int | None,
    interval_s: float,
    timeout_s: float,
    sleep: Callable[[float], None] = time.sleep,
    now: Callable[[], float] = time.monotonic,
) -> Iterator[Sweep]:
    """Sweeps of one probe each, `count` of them or without end.

    A round begins `interval_s` after the one before it; or at once when that took longer, as one with a lost probe
    does, which waits for its timeout.
    """
    due = now()
    for number in itertools.count(1):
        yield sweep(endpoints, probes=1, rate_per_s=RATE_PER_S, timeout_s=timeout_s)
        if number == count:
            return
        due = max(due + interval_s, now())
        sleep(max(0.0, due - now()))


def joined(sweeps: Sequence[Sweep]) -> Sweep:
    """Sweeps of the same endpoints as one, their probes in the order of the sweeps; ValueError for none."""
    if not sweeps:
        raise ValueError("no sweep to join")
    first = sweeps[0]
    said: dict[int, dict[str, None]] = {}
    for sweep in sweeps:
        for row, words in sweep.errors.items():
            said.setdefault(row, {})[words] = None
    return Sweep(
        method=first.method,
        endpoints=first.endpoints,
        started_ns=first.started_ns,
        sent_at_ns=np.concatenate([sweep.sent_at_ns for sweep in sweeps], axis=1),
        rtt_ms=np.concatenate([sweep.rtt_ms for sweep in sweeps], axis=1),
        answered=np.concatenate([sweep.answered for sweep in sweeps], axis=1),
        clock_ok=all(sweep.clock_ok for sweep in sweeps),
        errors={row: "; ".join(words) for row, words in sorted(said.items())},
    )
