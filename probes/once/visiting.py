"""Looking as a browser would: the time to the first byte over HTTP, and its parts."""

import time
from collections.abc import Iterator, Sequence
from typing import Any, Final

from probes.methods.http import Visit, measure
from probes.once.aim import Aim
from probes.once.look import Asked, Look
from probes.record import Record
from probes.statistics import quantile

PARTS: Final = ("connect_ms", "tls_ms", "first_byte_ms", "total_ms")


class Visiting(Look):
    """Visit after visit, one target after the other, so that none waits for another's."""

    def __init__(self, aims: Sequence[Aim], asked: Asked) -> None:
        super().__init__("http", aims, asked)
        self.visits: list[list[Visit]] = [[] for _ in self.aims]

    def steps(self) -> Iterator[None]:
        """A step is one visit."""
        done = 0
        while self.asked.count is None or done < self.asked.count:
            began = time.monotonic()
            for number in range(len(self.aims)):
                self._visit(number)
                yield
            done += 1
            if done != self.asked.count:
                time.sleep(max(0.0, began + self.asked.interval_s - time.monotonic()))

    def _visit(self, number: int) -> None:
        aim, endpoint = self.aims[number], self.endpoints[number]
        tls = aim.wanted.scheme != "http" if aim.wanted.scheme else endpoint.port != 80
        visit = measure(
            endpoint,
            source=self.asked.source,
            tls=tls,
            path=aim.wanted.path,
            timeout_s=self.asked.timeout_s,
            context=self.asked.context,
        )
        self.visits[number].append(visit)
        tally = self.tallies[number]
        tally.rtt_ms.append(visit.record.rtt_ms[0] if visit.record.rtt_ms else None)
        tally.answered.append(bool(visit.record.received))
        if visit.record.error is not None:
            tally.errors[visit.record.error] = None

    def records(self) -> list[list[Record]]:
        """A record for every visit."""
        return [[visit.record for visit in visits] for visits in self.visits]

    def median_ms(self, number: int, part: str) -> float | None:
        """The median of one of `PARTS` over the visits that reached it."""
        values = [getattr(visit.timings, part) for visit in self.visits[number]]
        return quantile(sorted(value for value in values if value is not None), 0.5)

    def detail(self, number: int) -> dict[str, Any]:
        """The parts of every visit, and what the server said last."""
        visits = self.visits[number]
        last = visits[-1] if visits else None
        return {
            "parts": [{part: getattr(visit.timings, part) for part in PARTS} for visit in visits],
            "status": last.status if last else None,
            "location": last.location if last else None,
            "tls_version": last.tls_version if last else None,
        }
