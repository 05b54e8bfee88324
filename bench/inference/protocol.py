"""What is hidden, what is asked for, and how near the answers come.

A pair is known or hidden as a whole: (i, j) and (j, i) together where rows and columns are the same nodes. Known pairs
are drawn uniformly; every hidden pair whose truth is known is asked for, those of nodes without a known partner too.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.inference.matrix import Float, Matrix
from placement.inference.known import Known
from placement.topology.aggregate import distance_ms

Mask = NDArray[np.bool_]
LONG_MS = 30.0
"""Relative errors of shorter round trips say little: figures are given for the longer ones as well."""


@dataclass(frozen=True)
class Amount:
    """How much is known: `partners` a node (of a two-sided matrix: a column) on average, or a `share` of the pairs."""

    partners: float | None = None
    share: float | None = None

    def __str__(self) -> str:
        return f"K={self.partners:g}" if self.partners is not None else f"{100 * (self.share or 0):g} %"


@dataclass(frozen=True)
class Estimate:
    """N × M; NaN where a method says nothing. Baselines have no interval."""

    mid_ms: Float
    lower_ms: Float | None = None
    upper_ms: Float | None = None


@dataclass(frozen=True)
class Figures:
    """One run. Errors are |p − t|/t over every hidden pair, infinite where the method is silent or the estimate is
    not above 0; coverage and width are those of the pairs it has an interval for, NaN without intervals."""

    hidden: int
    silent: int
    median: float
    p90: float
    long_median: float
    long_p90: float
    covered: float
    tenths: tuple[float, ...]  # covered, by what is predicted, the shortest first
    width: float
    median_width: float


def partners(*numbers: float) -> tuple[Amount, ...]:
    """Amounts by known partners a node."""
    return tuple(Amount(partners=number) for number in numbers)


def shares(*numbers: float) -> tuple[Amount, ...]:
    """Amounts by the share of pairs known."""
    return tuple(Amount(share=number) for number in numbers)


def known_of(matrix: Matrix, amount: Amount, seed: int) -> Mask:
    """N × M: which pairs are known; of square matrices both ways or neither."""
    pairs = matrix.pairs
    if matrix.square:
        row, column = np.nonzero(np.triu(pairs | pairs.T, 1))
    else:
        row, column = np.nonzero(pairs)
    count = min(_count(matrix, amount, len(row)), len(row))
    drawn = np.random.default_rng([seed, 1]).permutation(len(row))[:count]
    known = np.zeros(pairs.shape, bool)
    known[row[drawn], column[drawn]] = True
    if matrix.square:
        known |= known.T
    return known & pairs


def _count(matrix: Matrix, amount: Amount, pairs: int) -> int:
    """Pairs to know: a pair gives both its nodes a partner, and each column of a two-sided matrix one."""
    if amount.partners is None:
        return round((amount.share or 0) * pairs)
    return round(int(matrix.rtt_ms.shape[1]) * amount.partners / (2 if matrix.square else 1))


def given(matrix: Matrix, known: Mask) -> Known:
    """What a method is told: the known pairs, and of all pairs light's floor and what distance makes one expect."""
    row, column = np.nonzero(known)
    prior_ms = None if matrix.km is None else distance_ms(matrix.km)
    if prior_ms is not None and matrix.floor_ms is not None:
        prior_ms = np.maximum(prior_ms, matrix.floor_ms)
    return Known(
        shape=(matrix.rtt_ms.shape[0], matrix.rtt_ms.shape[1]),
        row=row,
        column=column,
        rtt_ms=matrix.rtt_ms[known],
        square=matrix.square,
        floor_ms=matrix.floor_ms,
        prior_ms=prior_ms,
    )


def figures(matrix: Matrix, known: Mask, found: Estimate) -> Figures:
    """How near the estimates of all hidden pairs come."""
    hidden = matrix.pairs & ~known
    truth, mid = matrix.rtt_ms[hidden], found.mid_ms[hidden]
    said = np.isfinite(mid) & (mid > 0)
    error = np.where(said, np.abs(np.where(said, mid, 0) - truth) / truth, np.inf)
    far = truth >= LONG_MS
    covered, tenths, width, median_width = _intervals(truth, found, hidden)
    return Figures(
        hidden=len(truth),
        silent=int((~said).sum()),
        median=quantile(error, 0.5),
        p90=quantile(error, 0.9),
        long_median=quantile(error[far], 0.5),
        long_p90=quantile(error[far], 0.9),
        covered=covered,
        tenths=tenths,
        width=width,
        median_width=median_width,
    )


def quantile(value: Float, share: float) -> float:
    """The least value that `share` of them stay at or below; infinite ones count. NaN of none."""
    return float(np.quantile(value, share, method="inverted_cdf")) if len(value) else float("nan")


def _intervals(truth: Float, found: Estimate, hidden: Mask) -> tuple[float, tuple[float, ...], float, float]:
    """Share covered in all and of the ten tenths by what is predicted, mean and median relative width."""
    nan = float("nan")
    if found.lower_ms is None or found.upper_ms is None:
        return nan, (), nan, nan
    lower, mid, upper = found.lower_ms[hidden], found.mid_ms[hidden], found.upper_ms[hidden]
    said = np.isfinite(lower) & np.isfinite(mid) & np.isfinite(upper) & (mid > 0)
    if not said.any():
        return nan, (), nan, nan
    truth, lower, mid, upper = truth[said], lower[said], mid[said], upper[said]
    covered = (lower <= truth) & (truth <= upper)
    parts = np.array_split(covered[np.argsort(mid, kind="stable")], 10)
    tenths = tuple(float(part.mean()) if len(part) else nan for part in parts)
    width = (upper - lower) / mid
    return float(covered.mean()), tenths, float(width.mean()), float(np.median(width))
