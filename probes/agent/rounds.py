"""Which targets a round measures, in which pieces and in which order.

A round of a swept method is cut into pieces that send for about `PIECE_S`, so that a stop loses little and other
methods get their turn; the others go target by target. Sweeps come first. A method whose round is still under way
when its next is due misses that one.
"""

import time
import zlib
from collections import Counter, deque
from collections.abc import Iterable, Sequence
from typing import Final

from probes.agent.allow import Refusal
from probes.agent.config import BANDWIDTH, SWEPT, Config, Method, packets
from probes.agent.metrics import Metrics
from probes.agent.pins import Pins, Unresolved
from probes.agent.rates import Bucket, Buckets
from probes.agent.schedule import Due
from probes.agent.spool import Tell
from probes.agent.targets import Target
from probes.agent.worker import Piece
from probes.methods.endpoint import Endpoint
from probes.record import Record

PIECE_S: Final = 2.0
LEAST_PIECE: Final = 32
GRACE_S: Final = 30.0
"""How much longer than planned a method may take before it counts as hung."""
MBYTE: Final = 1_000_000
_WANTED_SHARE: Final = {"train": 0.0, "ndt7": 0.5}
"""How much of an hour's bytes must be left for a test: a train is short, NDT7 wants room to settle."""


class Rounds:
    """The rounds under way; times are seconds of the monotonic clock."""

    def __init__(self, config: Config, pins: Pins, metrics: Metrics, tell: Tell, now_s: float) -> None:
        self._pins, self._metrics, self._tell = pins, metrics, tell
        self._sweeps: deque[Piece] = deque()
        self._singles: deque[Piece] = deque()
        self._open: Counter[str] = Counter()
        self._config = config
        self._limit(now_s)

    def reconfigure(self, config: Config, under_way: Piece | None, now_s: float) -> None:
        """Another configuration: what waits under the old one is not measured, as it might no longer be allowed."""
        self.abandon()
        self._open = Counter([under_way.method] if under_way else ())
        before, self._config = self._config, config
        if config.rates != before.rates:  # or every reload would give an hour's bytes anew
            self._limit(now_s)

    def _limit(self, now_s: float) -> None:
        rates = self._config.rates
        self._packets = Buckets(rates.target_packets_per_s, rates.target_burst)
        hourly = rates.bandwidth_mbyte_per_hour * MBYTE
        self._bytes = Bucket(hourly / 3600, hourly, now_s)
        target_hourly = rates.target_mbyte_per_hour * MBYTE
        self._target_bytes = Buckets(target_hourly / 3600, target_hourly)

    def begin(self, due: Due, targets: Iterable[Target], now_s: float) -> list[Record]:
        """Queues a round; gives a record for each target that has no address, with what the resolver said."""
        if due.missed:
            self._metrics.rounds.labels(due.method, "missed").inc(due.missed)
        if self._open[due.method]:
            self._metrics.rounds.labels(due.method, "missed").inc()
            self._tell("round_missed", method=due.method, round=due.number, pieces_left=self._open[due.method])
            return []
        endpoints: list[Endpoint] = []
        unresolved: list[Record] = []
        for target in targets:
            if due.method in target.ports and (due.number + zlib.crc32(target.name.encode())) % target.every == 0:
                found = self._pins.endpoint(target, target.ports[due.method])
                if isinstance(found, Endpoint):
                    endpoints.append(found)
                elif isinstance(found, Refusal):
                    self._metrics.refusals.labels(found.kind).inc()
                    self._tell("target_refused", target=target.name, method=due.method, why=str(found))
                elif found:
                    unresolved.append(self._unresolved(target, due.method, found))
                else:
                    self._metrics.dns_pending.inc()
        self._queue(due, endpoints, now_s)
        return unresolved

    def next(self, now_s: float) -> Piece | None:
        """What to measure now, None where nothing waits."""
        if self._sweeps:
            return self._sweeps.popleft()
        while self._singles:
            piece = self._singles.popleft()
            if piece.method not in BANDWIDTH:
                return piece
            most = self._bytes_left(piece, now_s)
            if most > 0:
                return piece._replace(max_bytes=most)
            self._metrics.limited.labels(piece.method).inc()
            self.done(piece, (), now_s)
        return None

    def done(self, piece: Piece, records: Sequence[Record], now_s: float) -> None:
        """A piece is over, however it went: its bytes are charged, and its round ends with its last piece."""
        if piece.method in BANDWIDTH:
            used = sum(record.bytes or 0 for record in records)
            self._bytes.charge(used, now_s)
            self._target_bytes.of(piece.endpoints[0].address, now_s).charge(used, now_s)
        self._open[piece.method] -= 1
        if not self._open[piece.method]:
            self._metrics.rounds.labels(piece.method, "measured").inc()

    def abandon(self) -> int:
        """Forgets what waits, at the end; how many targets are not measured for it."""
        left = [*self._sweeps, *self._singles]
        for method in {piece.method for piece in left}:
            self._metrics.rounds.labels(method, "abandoned").inc()
        self._sweeps.clear()
        self._singles.clear()
        return sum(len(piece.endpoints) for piece in left)

    @property
    def idle(self) -> bool:
        """Whether no round is under way."""
        return not any(self._open.values())

    def _queue(self, due: Due, endpoints: Sequence[Endpoint], now_s: float) -> None:
        settings = self._config.methods.used[due.method]
        cost = packets(due.method, settings)
        within = [endpoint for endpoint in endpoints if self._packets.of(endpoint.address, now_s).take(cost, now_s)]
        if len(within) < len(endpoints):
            self._metrics.limited.labels(due.method).inc(len(endpoints) - len(within))
            self._tell("targets_limited", method=due.method, targets=len(endpoints) - len(within))
        size = self._piece_size(cost) if due.method in SWEPT else 1
        pieces = [within[start : start + size] for start in range(0, len(within), size)]
        queue = self._sweeps if due.method in SWEPT else self._singles
        queue += [
            Piece(due.method, settings, tuple(piece), self._limit_s(due.method, settings, len(piece), cost))
            for piece in pieces
        ]
        self._open[due.method] = len(pieces)

    def _piece_size(self, cost: int) -> int:
        return max(LEAST_PIECE, int(self._config.rates.packets_per_s * PIECE_S / cost))

    def _limit_s(self, method: str, settings: Method, count: int, cost: int) -> float:
        sending = count * cost / self._config.rates.packets_per_s
        answers = settings.timeout_s * getattr(settings, "probes", 1) * len(getattr(settings, "directions", "."))
        return sending + 2 * answers + GRACE_S

    def _bytes_left(self, piece: Piece, now_s: float) -> int:
        """How much a bandwidth test may send, 0 where too little is left for one."""
        buckets = (self._bytes, self._target_bytes.of(piece.endpoints[0].address, now_s))
        share = _WANTED_SHARE[piece.method]
        if any(bucket.level(now_s) <= share * bucket.burst for bucket in buckets):
            return 0
        return int(min(bucket.level(now_s) for bucket in buckets))

    def _unresolved(self, target: Target, method: str, why: Unresolved) -> Record:
        return Record(
            observed_at=time.time_ns(),
            source=self._config.source,
            target=target.name,
            method=method,
            family=target.family,
            error=f"dns: {why}",
        )
