"""Latency under load: small probes beside a bandwidth test, before it and while its load stands (bufferbloat).

The probes are those of any sweeping method, to the same place by the same path; they are small and few, so that they
hardly load what they measure. What the queue adds is the difference of the two records' quantiles; both are given as
records, one with `loaded` false and one with it true, beside that of the bandwidth test.
"""

import dataclasses
import statistics
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from probes.methods.ndt7 import Throughput
from probes.methods.sweep import Sweep, records
from probes.record import Record

SETTLE_S: Final = 0.3
"""How long a load builds its queue before it is looked at: slow start over most paths."""

Probe = Callable[[], Sweep]
"""One short sweep of one endpoint, such as `partial(tcp.sweep, [endpoint], rate_per_s=100, probes=3)`."""
Test = Callable[[Callable[[], None]], Throughput]
"""A bandwidth test that calls what it is given when its load begins: `lambda began: ndt7.measure(..., began=began)`."""


@dataclass(frozen=True, slots=True)
class UnderLoad:
    """The bandwidth test, and the probes' records without its load and with it (None where it ended before a probe)."""

    throughput: Throughput
    idle: Record
    loaded: Record | None

    @property
    def records(self) -> tuple[Record, ...]:
        """All of them, in order of time."""
        return tuple(one for one in (self.idle, self.loaded, self.throughput.record) if one is not None)

    @property
    def added_ms(self) -> float | None:
        """The median round trip under load less that without; None where either is not known."""
        before = self.idle.rtt_ms
        during = self.loaded.rtt_ms if self.loaded is not None else None
        if not before or not during:
            return None
        return statistics.median(during) - statistics.median(before)


def measure(test: Test, probe: Probe, *, source: str, idle_sweeps: int = 3) -> UnderLoad:
    """Sweeps `idle_sweeps` times, then as often as it can while the test runs in a thread of its own.

    A sweep counts as loaded only where it began SETTLE_S after the load and ended before the test did.
    What `test` and `probe` raise is raised here, once the test is over.
    """
    idle = [probe() for _ in range(idle_sweeps)]
    running = _Running(test)
    running.start()
    loaded: list[Sweep] = []
    try:
        running.begun.wait()
        while not running.over.wait(SETTLE_S if not loaded else 0):
            sweep = probe()
            if not running.over.is_set():
                loaded.append(sweep)
    finally:
        running.join()
    throughput = running.result()
    under = _together(loaded, source, loaded=True) if loaded else None
    return UnderLoad(throughput, _together(idle, source, loaded=False), under)


class _Running(threading.Thread):
    """The test in its thread; `begun` is set when its load begins, or when there will be none."""

    def __init__(self, test: Test) -> None:
        super().__init__(name="load", daemon=True)
        self.begun, self.over = threading.Event(), threading.Event()
        self._test = test
        self._result: Throughput | None = None
        self._failure: BaseException | None = None

    def run(self) -> None:
        try:
            self._result = self._test(self.begun.set)
        except BaseException as failure:  # raised again by `result`, in the caller's thread
            self._failure = failure
        finally:
            self.over.set()
            self.begun.set()

    def result(self) -> Throughput:
        if self._result is None:
            raise self._failure or RuntimeError("the bandwidth test gave nothing")
        return self._result


def _together(sweeps: Sequence[Sweep], source: str, *, loaded: bool) -> Record:
    """One record of several sweeps of one endpoint."""
    found = [record for sweep in sweeps for record in records(sweep, source)]
    samples = tuple(sample for record in found for sample in record.rtt_ms or ())
    errors = dict.fromkeys(record.error for record in found if record.error is not None)
    return dataclasses.replace(
        found[0],
        sent=sum(record.sent or 0 for record in found),
        received=sum(record.received or 0 for record in found),
        rtt_ms=samples or None,
        loaded=loaded,
        error="; ".join(errors) or None,
        clock_ok=all(record.clock_ok for record in found),
    )
