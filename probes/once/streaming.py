"""Looking for bandwidth: capacity by packet trains, or what TCP achieves by NDT7, with the latency under that load."""

import ssl
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

from probes.once.aim import Aim
from probes.once.look import Asked, Look
from probes.record import Record
from probes.statistics import quantile

Direction = Literal["down", "up"]
DIRECTIONS: Final[tuple[Direction, ...]] = ("down", "up")


@dataclass(frozen=True, slots=True)
class Flow:
    """One direction of one target. `idle_ms` is the least round trip, `loaded_*` those while the load ran; None where
    the method or the far end tells none. `resent_share` is of the bytes, `windows_mbps` are half a second each.
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
                    record, flow = (self._train if self.method == "train" else self._ndt7)(number, direction)
                    self._records[number].append(record)
                    self.flows[number].append(flow)
                    if record.error is not None:
                        self.tallies[number].errors[record.error] = None
                    yield
                    if record.error is not None and not record.bytes:
                        break  # nobody is there: the other way would only wait once more

    def records(self) -> list[list[Record]]:
        """A record for every transfer."""
        return self._records

    def detail(self, number: int) -> dict[str, Any]:
        """The transfers in their order."""
        return {"flows": [asdict(flow) for flow in self.flows[number]]}

    @property
    def answered(self) -> bool:
        """Whether any transfer gave a figure."""
        return any(record.mbps is not None for records in self._records for record in records)

    def _train(self, number: int, direction: Direction) -> tuple[Record, Flow]:
        from probes.methods.train import measure  # noqa: PLC0415

        record = measure(self.endpoints[number], direction=direction, source=self.asked.source, key=self.asked.key)
        return record, Flow(direction, record.mbps, record.bytes)

    def _ndt7(self, number: int, direction: Direction) -> tuple[Record, Flow]:
        from probes.methods.ndt7 import measure  # noqa: PLC0415

        aim, endpoint = self.aims[number], self.endpoints[number]
        scheme = aim.wanted.scheme
        encrypted = scheme in ("wss", "https") if scheme else endpoint.port != 80
        told = measure(
            endpoint,
            direction=direction,
            source=self.asked.source,
            seconds=self.asked.seconds,
            token=self.asked.token,
            tls=(self.asked.context or ssl.create_default_context()) if encrypted else None,
        )
        loaded = sorted(told.rtt_ms)
        return told.record, Flow(
            direction=direction,
            mbps=told.record.mbps,
            moved_bytes=told.record.bytes,
            idle_ms=told.min_rtt_ms,
            loaded_p50_ms=quantile(loaded, 0.50),
            loaded_p95_ms=quantile(loaded, 0.95),
            resent_share=told.retransmitted,
            settled=told.settled,
            windows_mbps=told.windows_mbps,
        )
