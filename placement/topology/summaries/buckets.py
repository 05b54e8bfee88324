"""The buckets of many groups as they fill: samples are gathered, sorted by millions, and become counts."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from placement.topology.summaries.sketch import MOST_NS, Float, Ints, buckets, excess_ns, whole_ns

MOST_GROUPS = 2**20
_NS_BITS, _FIGURE_BITS, _BUCKET_BITS = 44, 3, 12
_SAMPLES_AT_ONCE = 1_000_000
_BUCKETS_AT_ONCE = 3_000_000
_MOST_EXCESS = 2.0**52
"""No value adds more; a mean beyond its bucket is put back into it (`sketch.means_ms`)."""


class Buckets:
    """Filled buckets of up to 8 figures of up to MOST_GROUPS groups."""

    def __init__(self) -> None:
        self._samples: list[NDArray[np.uint64]] = []
        self._figure = 0
        self._waiting = 0
        self._places: list[Ints] = []
        self._counts: list[Ints] = []
        self._excesses: list[Ints] = []

    def add_samples(self, figure: int, group: Ints, value_ns: Ints) -> None:
        """Values of one figure, the same for all calls."""
        self._figure = figure
        # Group and value in one number: numbers sort faster than rows.
        self._samples.append(group.astype(np.uint64) << np.uint64(_NS_BITS) | value_ns.astype(np.uint64))
        self._waiting += len(group)
        if self._waiting >= _SAMPLES_AT_ONCE:
            self._settle()

    def add_weighted(self, figure: int, group: Ints, value_ms: Float, weight: Ints) -> None:
        """Values that count `weight` times each."""
        value_ns = whole_ns(value_ms)
        bucket = buckets(value_ns)
        excess = np.clip(excess_ns(value_ns, bucket).astype(np.float64) * weight, -_MOST_EXCESS, _MOST_EXCESS)
        self._keep(_place(group, figure, bucket), weight, excess.astype(np.int64))

    def columns(self, rank: Ints) -> dict[str, NDArray[Any]]:
        """number (the `rank` of its group), figure, bucket, count and excess of all, sorted by the first three."""
        self._settle()
        below = _FIGURE_BITS + _BUCKET_BITS
        self._places = [rank[one >> below] << below | one & (1 << below) - 1 for one in self._places]
        self._merge()
        (place,), (count,), (excess,) = self._places, self._counts, self._excesses
        return {
            "number": (place >> below).astype(np.int32),
            "figure": (place >> _BUCKET_BITS & 2**_FIGURE_BITS - 1).astype(np.int8),
            "bucket": (place & 2**_BUCKET_BITS - 1).astype(np.int16),
            "count": count,
            "excess": excess,
        }

    def _settle(self) -> None:
        """Samples that wait become a run."""
        if not self._waiting:
            return
        packed = np.concatenate(self._samples)
        self._samples, self._waiting = [], 0
        packed.sort()
        value_ns = (packed & np.uint64(MOST_NS)).astype(np.int64)
        bucket = buckets(value_ns)
        place = _place((packed >> np.uint64(_NS_BITS)).astype(np.int64), self._figure, bucket)
        first = np.flatnonzero(np.diff(place, prepend=-1))
        self._keep(place[first], np.diff(first, append=len(place)), _summed(excess_ns(value_ns, bucket), first))

    def _keep(self, place: Ints, count: Ints, excess: Ints) -> None:
        self._places.append(place)
        self._counts.append(count)
        self._excesses.append(excess)
        if len(self._places) > 1 and sum(map(len, self._places)) > _BUCKETS_AT_ONCE:
            self._merge()

    def _merge(self) -> None:
        """All runs become one, sorted. They are large: each array goes as soon as what follows from it is there."""
        place = _joined(self._places)
        order = np.argsort(place)
        place = place[order]
        first = np.flatnonzero(np.diff(place, prepend=-1))
        self._places = [place[first]]
        del place
        self._counts = [_summed(_joined(self._counts)[order], first)]
        self._excesses = [_summed(_joined(self._excesses)[order], first)]


def _joined(parts: list[Ints]) -> Ints:
    """The parts as one array; the list is empty then."""
    whole = np.concatenate([np.empty(0, np.int64), *parts])
    parts.clear()
    return whole


def _summed(values: Ints, first: Ints) -> Ints:
    """Sums from each first place to the next."""
    return np.asarray(np.add.reduceat(values, first)) if len(first) else values


def _place(group: Ints, figure: int, bucket: Ints) -> Ints:
    return np.asarray((group << _FIGURE_BITS | figure) << _BUCKET_BITS | bucket)
