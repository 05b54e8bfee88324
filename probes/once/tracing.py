"""Looking at the way: the routers between here and each target, as several flows see them."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any, Final, cast

from probes.methods.trace import Path, measure
from probes.methods.trace.prober import Kind
from probes.once.aim import Aim
from probes.once.look import Asked, Look
from probes.record import Record
from probes.statistics import quantile

PROBES: Final = 3
Step = tuple[int, str, tuple[int, ...], int, int, float | None, float | None]
"""TTL, address ("" for silence), numbers of the flows that saw it (from 1), answered, sent, least and median RTT."""


class Tracing(Look):
    """One trace of each target, one after the other."""

    def __init__(self, aims: Sequence[Aim], asked: Asked, protocol: str, flows: int) -> None:
        super().__init__("trace", aims, asked)
        self._protocol, self._flows = cast(Kind, protocol), flows
        self.paths: list[Path | None] = [None for _ in self.aims]

    def steps(self) -> Iterator[None]:
        """A step is a target."""
        for number, endpoint in enumerate(self.endpoints):
            path = measure(
                endpoint,
                source=self.asked.source,
                protocol=self._protocol,
                flows=self._flows,
                probes=self.asked.count or PROBES,
                timeout_s=self.asked.timeout_s,
                interval_s=self.asked.interval_s,
            )
            self.paths[number] = path
            said = [*path.errors, *(flow.ended for flow in path.flows if flow.ended)]
            self.tallies[number].errors |= dict.fromkeys(said)
            yield

    def records(self) -> list[list[Record]]:
        """None: a path is no native record; it stands in the detail."""
        return [[] for _ in self.aims]

    def detail(self, number: int) -> dict[str, Any]:
        """The path, hop by hop and flow by flow; `branches` are the TTLs at which flows part."""
        path = self.paths[number]
        if path is None:
            return {"path": None}
        found = asdict(path)
        del found["endpoint"]
        return {
            "path": found
            | {
                "reached": path.reached,
                "branches": {str(ttl): list(addresses) for ttl, addresses in path.branches().items()},
                "rate_limited": list(path.rate_limited()),
            }
        }

    @property
    def answered(self) -> bool:
        """Whether any trace came to its target."""
        return any(path is not None and path.reached for path in self.paths)

    def table(self, number: int) -> list[Step]:
        """A row for each address at each TTL, in the order of TTLs, and of the flows that met it."""
        path = self.paths[number]
        if path is None:
            return []
        rows: list[Step] = []
        for ttl in sorted({hop.ttl for flow in path.flows for hop in flow.hops}):
            hops = [(k, hop) for k, flow in enumerate(path.flows, 1) for hop in flow.hops if hop.ttl == ttl]
            for address in path.addresses(ttl):
                seen = [(k, hop) for k, hop in hops if address in hop.addresses]
                times = sorted(
                    answer.rtt_ms
                    for _, hop in seen
                    for answer in hop.answers
                    if answer.address == address and answer.rtt_ms is not None
                )
                answered = sum(answer.address == address for _, hop in seen for answer in hop.answers)
                sent = sum(hop.sent for _, hop in seen)
                flows = tuple(k for k, _ in seen)
                rows.append((ttl, address, flows, answered, sent, quantile(times, 0.0), quantile(times, 0.5)))
            silent = tuple(k for k, hop in hops if hop.silent)
            if silent:
                rows.append((ttl, "", silent, 0, sum(hop.sent for k, hop in hops if hop.silent), None, None))
        return rows
