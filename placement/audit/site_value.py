"""What one site could earn at given prices, at most: an upper bound that plain numpy computes.

A block is a shape at a site. With y replicas it earns at most V(y), the fractional knapsack over the rows' profits in
every slice. Blocks of one (model, GPU, size) exclude each other: the larger V counts. Blocks of one GPU share its
servers: a knapsack over quarter GPUs. Every step rounds up.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]
Int = NDArray[np.int64]

EPS = float(np.finfo(np.float64).eps)
MOST_STEPS = 50_000_000
"""Additions of the exact knapsack at one site, beyond which its concave relaxation is taken."""
MOST_STATES = 50_000
"""Server combinations kept apart; beyond, those of one capacity are merged into something better than each."""


def profit_usd(income: Float, cost: Float) -> Float:
    """What rows earn, at most: income (any sign) less cost (≥ 0), raised by what both may have lost.

    Either is a product of a few figures and sums of such: less than 32 roundings of half a unit in the last place.
    """
    return np.asarray(income - cost + 16 * EPS * (np.abs(income) + cost), np.float64)


def site_usd(earned: float, paid: float, credit: float) -> float:
    """What a site is left with, ≥ 0, at most: all three ≥ 0, raised by what they may have lost to rounding.

    NaN where they are beyond floats, which is no reason to think that the site earns nothing.
    """
    left = earned - paid + credit + 16 * EPS * (earned + paid + credit)
    return max(left, 0.0)  # in this order NaN stays NaN


def block_value(profit: Float, load: Float, slices: Int, most: int) -> Float:
    """V(0), V(1), … up to where more replicas earn no more, or `most`: an upper bound for every whole y.

    One entry a row, at least one row: `profit` (> 0, rounded up already), `load` (≥ 0), `slices`. What the sums of
    profits and of loads lose to rounding is in proportion to the profits: V is concave in y, and so in the loads.
    """
    peak = max(float(load[slices == t].sum()) for t in np.unique(slices))
    y = np.arange(min(most, max(1, int(np.ceil(peak)))) + 1, dtype=np.float64)
    value = np.zeros(len(y))
    for t in np.unique(slices):
        here = slices == t
        gain, need = profit[here], load[here]
        free = need == 0
        value += gain[free].sum()
        gain, need = gain[~free], need[~free]
        order = np.argsort(-gain / need, kind="stable")
        at = np.concatenate([[0.0], np.cumsum(need[order])])
        value += np.interp(y, at, np.concatenate([[0.0], np.cumsum(gain[order])]))
    slack = (4 * len(profit) + 64) * EPS * float(profit.sum())
    return np.where(y > 0, value + slack, 0.0)


def larger(values: Sequence[Float]) -> Float:
    """Elementwise maximum of values that stay constant beyond their ends."""
    length = max(len(value) for value in values)
    return np.asarray(
        np.max([np.pad(value, (0, length - len(value)), mode="edge") for value in values], axis=0), np.float64
    )


@dataclass(frozen=True)
class Group:
    """Blocks that exclude each other: quarter GPUs a replica takes, and the value of 0, 1, 2, … replicas."""

    quarters: int
    value: Float


def useful_quarters(groups: Sequence[Group]) -> int:
    """Quarter GPUs beyond which the groups earn no more."""
    return sum(group.quarters * (len(group.value) - 1) for group in groups)


def packed(groups: Sequence[Group], capacity: int) -> Float:
    """Most that the groups earn together in 0, 1, …, `capacity` quarter GPUs."""
    unit = int(np.gcd.reduce([group.quarters for group in groups]))
    cells = capacity // unit
    if sum(len(group.value) for group in groups) * cells > MOST_STEPS:
        return _packed_concave(groups, capacity)
    best = np.zeros(cells + 1)
    for group in groups:
        step = group.quarters // unit
        new = best.copy()
        for at, usd in zip(range(0, len(best), step), group.value, strict=False):
            np.maximum(new[at:], best[: len(best) - at] + usd, out=new[at:])
        best = new
    return np.asarray(np.repeat(best, unit)[: capacity + 1] * (1 + (len(groups) + 4) * EPS), np.float64)


def _packed_concave(groups: Sequence[Group], capacity: int) -> Float:
    """The same with fractional replicas on the concave hull of every value: never less, and fast."""
    lengths, gains = [], []
    for group in groups:
        x, v = _hull(group.value)
        lengths.append(np.diff(x) * group.quarters)
        gains.append(np.diff(v))
    length, gain = np.concatenate(lengths), np.concatenate(gains)
    order = np.argsort(-gain / length, kind="stable")
    at = np.concatenate([[0.0], np.cumsum(length[order])])
    total = np.concatenate([[0.0], np.cumsum(gain[order])])
    return np.asarray(np.interp(np.arange(capacity + 1), at, total) * (1 + (len(order) + 4) * EPS), np.float64)


def _hull(value: Float) -> tuple[Float, Float]:
    """Corners of the least concave function above the points (y, value[y])."""
    corners: list[int] = []
    for y in range(len(value)):
        while len(corners) > 1:
            a, b = corners[-2], corners[-1]
            if (value[b] - value[a]) * (y - a) > (value[y] - value[a]) * (b - a):
                break
            corners.pop()
        corners.append(y)
    return np.array(corners, np.float64), value[corners]


@dataclass(frozen=True)
class Offer:
    """A way to hold servers of one kind at the site."""

    quarters: int  # a server
    power_kw: float
    rack_units: float
    usd: float  # at the prices of the certificate, ≥ 0
    most: int


def best_servers(offers: Sequence[Offer], value: Float, power_kw: float, rack_units: float) -> float:
    """Most of `value` (by quarter GPUs) less servers, over all counts of the offers within kW and rack units; ≥ 0."""
    capacity = len(value) - 1
    states = np.zeros(4)[None]  # quarters, kW, U, USD
    for offer in offers:
        unit = np.array([offer.quarters, offer.power_kw, offer.rack_units, offer.usd], np.float64)
        counts = np.arange(offer.most + 1, dtype=np.float64)
        states = (states[:, None, :] + counts[None, :, None] * unit).reshape(-1, 4)
        fits = (states[:, 1] <= power_kw * (1 + 1e-9)) & (states[:, 2] <= rack_units * (1 + 1e-9))
        states = states[fits]
        states[:, 0] = np.minimum(states[:, 0], capacity)
        if len(states) > MOST_STATES:
            states = _merged(states)
    earned = value[states[:, 0].astype(np.int64)] - states[:, 3] * (1 - 64 * EPS)
    return float(earned.max())  # ≥ 0: no server at all is one of the states


def _merged(states: Float) -> Float:
    """One state per capacity with the least kW, rack units and USD of any: better than each of them."""
    kinds, which = np.unique(states[:, 0], return_inverse=True)
    least = np.full((len(kinds), 4), np.inf)
    np.minimum.at(least, which, states)
    return least
