"""How many packets a source may have answered: token buckets by prefix in a table that no flood can grow or own.

A source is a /24 of IPv4 or a /64 of IPv6: who owns one address of those can usually send from all of them.
There are two tables, each bounded, each forgetting what was silent longest. A source starts as a *newcomer* and becomes
*known* when it still sends a second later. Forged sources are new ones nearly always: they push each other out of the
newcomers' table, and share a part of the total rate; what is known keeps its own table and the other part.
"""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

KNOWN_AFTER_NS: Final = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Rates:
    """Packets a second, and how many sources are kept in mind.

    per_source, in_all: what may be answered a second; a burst may hold `burst_s` seconds' worth.
    newcomers: the part of `in_all` that is open to sources not yet known. sources: size of each of the two tables.
    """

    per_source: float = 5_000.0
    in_all: float = 50_000.0
    burst_s: float = 1.0
    newcomers: float = 0.5
    sources: int = 16_384


@dataclass(slots=True)
class Bucket:
    """Tokens that refill with time; times are the monotonic clock's nanoseconds."""

    rate: float
    most: float
    tokens: float
    filled_ns: int
    first_ns: int

    def refill(self, now_ns: int) -> None:
        """Add what has accrued since the last look."""
        self.tokens = min(self.most, self.tokens + self.rate * max(now_ns - self.filled_ns, 0) / 1e9)
        self.filled_ns = now_ns


def bucket(rate: float, burst_s: float, now_ns: int) -> Bucket:
    """A full bucket; it holds one packet at least."""
    most = max(rate * burst_s, 1.0)
    return Bucket(rate, most, most, now_ns, now_ns)


class Limiter:
    """Says of each packet whether it may be answered."""

    def __init__(self, rates: Rates, now_ns: int) -> None:
        self.rates = rates
        self._newcomers: OrderedDict[tuple[int, int], Bucket] = OrderedDict()
        self._known: OrderedDict[tuple[int, int], Bucket] = OrderedDict()
        self._open = bucket(rates.in_all * rates.newcomers, rates.burst_s, now_ns)
        self._reserved = bucket(rates.in_all * (1 - rates.newcomers), rates.burst_s, now_ns)

    @property
    def sources(self) -> int:
        """How many sources stand in the tables."""
        return len(self._newcomers) + len(self._known)

    def admit(self, family: int, prefixes: NDArray[np.uint64], now_ns: int, proven: bool = False) -> NDArray[np.bool_]:
        """(n,) whether each packet may be answered; of one source the first ones are.

        `prefixes` (n,) as `prefixes_of` gives them. `proven`: they bear a right HMAC, so their sources are known.
        """
        self._open.refill(now_ns)
        self._reserved.refill(now_ns)
        found, place, counts = np.unique(prefixes, return_inverse=True, return_counts=True)
        granted = np.array(
            [
                self._grant((family, prefix), count, now_ns, proven)
                for prefix, count in zip(found.tolist(), counts.tolist(), strict=True)
            ],
            np.int64,
        )
        if len(found) == 1:
            return np.asarray(np.arange(len(prefixes)) < granted[0])
        # the rank of each packet among those of its source
        order = np.argsort(place, kind="stable")
        starts = np.cumsum(counts) - counts
        rank = np.empty(len(place), np.int64)
        rank[order] = np.arange(len(place)) - np.repeat(starts, counts)
        admitted: NDArray[np.bool_] = rank < granted[place]
        return admitted

    def _grant(self, source: tuple[int, int], count: int, now_ns: int, proven: bool) -> int:
        known = self._known.get(source)
        own = known or self._newcomer(source, now_ns, proven)
        own.refill(now_ns)
        if known is not None:
            self._known.move_to_end(source)
        is_known = source in self._known
        shared = self._open.tokens + (self._reserved.tokens if is_known else 0.0)
        granted = int(min(count, own.tokens, shared))
        own.tokens -= granted
        reserved = min(granted, self._reserved.tokens) if is_known else 0.0
        self._reserved.tokens -= reserved
        self._open.tokens -= granted - reserved
        return granted

    def _newcomer(self, source: tuple[int, int], now_ns: int, proven: bool) -> Bucket:
        own = self._newcomers.pop(source, None) or bucket(self.rates.per_source, self.rates.burst_s, now_ns)
        if proven or now_ns - own.first_ns >= KNOWN_AFTER_NS:
            _keep(self._known, source, own, self.rates.sources)
        else:
            _keep(self._newcomers, source, own, self.rates.sources)
        return own


def _keep(table: OrderedDict[tuple[int, int], Bucket], source: tuple[int, int], own: Bucket, most: int) -> None:
    table[source] = own
    while len(table) > most:
        table.popitem(last=False)


def prefixes_of(names: NDArray[np.uint8], family: int) -> NDArray[np.uint64]:
    """(n,) the /24 or /64 of each sockaddr (n, 28); `family` is 4 or 6."""
    if family == 4:
        return np.ascontiguousarray(names[:, 4:8]).view(">u4")[:, 0].astype(np.uint64) >> np.uint64(8)
    return np.ascontiguousarray(names[:, 8:16]).view(">u8")[:, 0].astype(np.uint64)
