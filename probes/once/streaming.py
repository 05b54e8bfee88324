"""Looking for bandwidth: capacity by packet trains, or what TCP achieves by NDT7, with the latency under that load."""

import ssl
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, Final, Literal

from probes.once.aim import Aim
from probes.once.look import Asked, Look
from probes.record import Record
from probes.statistics import quantile

Direction = Literal["down", "up"]
DIRECTIONS: Final[tuple[Direction, ...]] = ("down", "up")


@dataclass(frozen=True, slots=True)
class Flow:
    """One direction of one target. `idle_ms` is the median round trip before the load, `loaded_*` are those beside it;
    None where the method has none. `resent_share` is of the bytes, `windows_mbps` are half a second each.
    """

    direction: Direction
    mbps: float | None
    moved_bytes: int | None
    idle_ms: float | None = None
    loaded_p50_ms: float | None = None
    loaded_p95_ms: float | None = None
    resent_share: float | None = None
    settled: bool | None = None
    windows_mbps: tuple[float, ...] = ()


class Streaming(Look):
    """One transfer at a time, first down and then up, target after target: they would take each other's bandwidth."""

    def __init__(self, method: str, aims: Sequence[Aim], asked: Asked) -> None:
        super().__init__(method, aims, asked)
        self.flows: list[list[Flow]] = [[] for _ in self.aims]
        self._records: list[list[Record]] = [[] for _ in self.aims]

    def steps(self) -> Iterator[None]:
        """A step is one direction of one target."""
        for _ in range(self.asked.count or 1):
            for number in range(len(self.aims)):
                for direction in DIRECTIONS:
                    records, flow = (self._train if self.method == "train" else self._ndt7)(number, direction)
                    self._records[number] += records
                    self.flows[number].append(flow)
                    error = records[-1].error  # of the transfer, which comes last
                    if error is not None:
                        self.tallies[number].errors[error] = None
                    yield
                    if error is not None and not flow.moved_bytes:
                        break  # nobody is there: the other way would only wait once more

    def records(self) -> list[list[Record]]:
        """For every transfer its record, and before it those of the round trips without and under its load."""
        return self._records

    def detail(self, number: int) -> dict[str, Any]:
        """The transfers in their order."""
        return {"flows": [asdict(flow) for flow in self.flows[number]]}

    @property
    def answered(self) -> bool:
        """Whether any transfer gave a figure."""
        return any(record.mbps is not None for records in self._records for record in records)

    def _train(self, number: int, direction: Direction) -> tuple[list[Record], Flow]:
        from probes.methods.train import measure  # noqa: PLC0415

        record = measure(self.endpoints[number], direction=direction, source=self.asked.source, key=self.asked.key)
        return [record], Flow(direction, record.mbps, record.bytes)

    def _ndt7(self, number: int, direction: Direction) -> tuple[list[Record], Flow]:
        """The test, and beside it TCP handshakes to the same port: what others on the path feel of the load."""
        from probes.methods import loaded, ndt7, tcp  # noqa: PLC0415

        aim, endpoint, asked = self.aims[number], self.endpoints[number], self.asked
        scheme = aim.wanted.scheme
        encrypted = scheme in ("wss", "https") if scheme else endpoint.port != 80
        test = partial(
            ndt7.measure,
            endpoint,
            direction=direction,
            source=asked.source,
            seconds=asked.seconds,
            token=asked.token,
            tls=(asked.context or ssl.create_default_context()) if encrypted else None,
        )
        probe = partial(tcp.sweep, [endpoint], probes=3, rate_per_s=100, interval_s=0.03, timeout_s=asked.timeout_s)
        both = loaded.measure(lambda began: test(began=began), probe, source=asked.source)
        told, under = both.throughput, both.loaded
        during = sorted(under.rtt_ms or () if under is not None else ())
        return list(both.records), Flow(
            direction=direction,
            mbps=told.record.mbps,
            moved_bytes=told.record.bytes,
            idle_ms=quantile(sorted(both.idle.rtt_ms or ()), 0.50),
            loaded_p50_ms=quantile(during, 0.50),
            loaded_p95_ms=quantile(during, 0.95),
            resent_share=told.retransmitted,
            settled=told.settled,
            windows_mbps=told.windows_mbps,
        )
