"""Buckets of a geometric scale: counts of values that merge by addition, in any order, and their quantiles.

A value is a whole number of nanoseconds (of bit/s, for a rate). Bucket 0 holds zero, bucket b >= 1 the values from
WIDTH^(b-1) up to WIDTH^b. A bucket keeps how many values it holds and by how much they exceed, in all, the least of
them: both are whole numbers, so no order of addition shows. It stands for its mean. That is exact where all its values
are equal, and else off by less than WIDTH - 1 of any of them; so is a quantile, which interpolates between two of them.
"""

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Float = NDArray[np.float64]

WIDTH = 1.009
"""With what rounding to whole nanoseconds adds, a quantile of times from 1 µs on is off by less than 1 %."""
NS_PER_MS = 1e6
MOST_NS = 2**44 - 1
"""Values above count as this: 4.9 hours, 17.6 Tbit/s."""
_LEAST_NS = np.concatenate([[0], np.rint(WIDTH ** np.arange(3500.0))]).astype(np.int64)


def whole_ns(value_ms: Float) -> Ints:
    """Nanoseconds of milliseconds that are above zero (at least one), or are zero."""
    whole = np.rint(np.minimum(value_ms * NS_PER_MS, MOST_NS)).astype(np.int64)
    return np.maximum(whole, value_ms > 0)


def buckets(value_ns: Ints) -> Ints:
    """The bucket of each value."""
    with np.errstate(divide="ignore"):
        exponent = np.floor(np.log(value_ns) / np.log(WIDTH))
    return np.where(value_ns > 0, exponent + 1, 0).astype(np.int64)


def excess_ns(value_ns: Ints, bucket: Ints) -> Ints:
    """By how much each value exceeds the least of its bucket; rounding may make it -1."""
    return np.asarray(value_ns - _LEAST_NS[bucket])


def means_ms(bucket: Ints, count: Ints, excess: Ints) -> Float:
    """What each bucket stands for, in milliseconds (or Mbit/s)."""
    width = _LEAST_NS[bucket + 1] - _LEAST_NS[bucket] + 1
    return np.asarray((_LEAST_NS[bucket] + np.clip(excess / np.maximum(count, 1), -1, width)) / NS_PER_MS)


class Quantiles:
    """Quantiles of G groups from their entries, sorted by group and bucket; NaN where a group has none."""

    def __init__(self, groups: int, group: Ints, bucket: Ints, count: Ints, excess: Ints) -> None:
        self._value_ms = means_ms(bucket, count, excess)
        # Counts of windows are weights and may be huge: running sums within a group stay exact as whole numbers.
        self._first = np.searchsorted(group, np.arange(groups + 1))
        self._reached = np.cumsum(count)
        self._before = np.concatenate([[0], self._reached])[self._first[:-1]]
        self.count = np.concatenate([[0], self._reached])[self._first[1:]] - self._before
        self.filled: Ints = np.diff(self._first)

    def interpolated(self, share: float) -> Float:
        """Linear between the two values nearest to rank share · (count - 1), as numpy's default."""
        rank = np.maximum(self.count - 1, 0) * share
        low = np.floor(rank)
        below, above = self._at(low.astype(np.int64)), self._at(np.minimum(low + 1, self.count - 1).astype(np.int64))
        return np.asarray(below + (above - below) * (rank - low))

    def reached(self, percent: int) -> Float:
        """The least value at which `percent` of the group's count is reached."""
        return self._at(np.maximum(-(-self.count * percent // 100) - 1, 0))

    def total(self, power: int = 1) -> Float:
        """The sum of value^power over each group, value by value in their order."""
        counts = np.diff(np.concatenate([[0], self._reached]))
        sums = np.concatenate([self._value_ms**power * counts, [0.0]])
        return np.where(self.count > 0, np.add.reduceat(sums, self._first[:-1]), np.nan)

    def _at(self, rank: Ints) -> Float:
        """The value of rank 0, 1, … within each group."""
        found = np.searchsorted(self._reached, self._before + rank, side="right")
        values = np.concatenate([self._value_ms, [np.nan]])
        return np.where(self.count > 0, values[np.minimum(found, len(self._value_ms))], np.nan)
