"""The buckets of many groups as they fill: samples are gathered, sorted by millions, and become counts."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from placement.topology.summaries.sketch import MOST_NS, Float, Ints, buckets, excess_ns, whole_ns

MOST_GROUPS = 2**20
_NS_BITS, _FIGURE_BITS, _BUCKET_BITS = 44, 3, 12
_SAMPLES_AT_ONCE = 4_000_000
_RUNS_AT_ONCE = 6_000_000
_MOST_EXCESS = 2.0**52
"""No value adds more; a mean beyond its bucket is put back into it (`sketch.means_ms`)."""


class Buckets:
    """Filled buckets of up to 8 figures of up to MOST_GROUPS groups."""

    def __init__(self) -> None:
        self._samples: list[NDArray[np.uint64]] = []
        self._figure = 0
        self._waiting = 0
        self._runs: list[tuple[Ints, Ints, Ints]] = []

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
        runs = [(rank[place >> _FIGURE_BITS + _BUCKET_BITS], place, *more) for place, *more in self._runs]
        low = (1 << _FIGURE_BITS + _BUCKET_BITS) - 1
        self._runs = [(number << _FIGURE_BITS + _BUCKET_BITS | place & low, *more) for number, place, *more in runs]
        del runs
        place, count, excess = self._merged()
        self._runs = []
        return {
            "number": (place >> _FIGURE_BITS + _BUCKET_BITS).astype(np.int32),
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
        excess = np.add.reduceat(excess_ns(value_ns, bucket), first)
        self._keep(place[first], np.diff(first, append=len(place)), excess)

    def _keep(self, place: Ints, count: Ints, excess: Ints) -> None:
        self._runs.append((place, count, excess))
        if len(self._runs) > 1 and sum(len(run[0]) for run in self._runs) > _RUNS_AT_ONCE:
            self._runs = [self._merged()]

    def _merged(self) -> tuple[Ints, Ints, Ints]:
        """All runs as one, sorted."""
        place, count, excess = (np.concatenate(parts) for parts in zip(*self._runs, strict=True))
        order = np.argsort(place)
        place = place[order]
        first = np.flatnonzero(np.diff(place, prepend=-1))
        if not len(first):
            return place, count, excess
        return place[first], np.add.reduceat(count[order], first), np.add.reduceat(excess[order], first)


def _place(group: Ints, figure: int, bucket: Ints) -> Ints:
    return np.asarray((group << _FIGURE_BITS | figure) << _BUCKET_BITS | bucket)
