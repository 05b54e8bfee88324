"""What one site could earn at given prices, at most: an upper bound that plain numpy computes.

A block is a shape at a site. With y replicas it earns at most V_t(y) in slice t, the fractional knapsack over the
rows' profits; where replicas stand around the clock, Σ_t V_t(y). Blocks of one (model, GPU, size) exclude each other:
the larger V counts. Blocks of one GPU share its servers: a knapsack over quarter GPUs, in every slice by itself where
replicas follow the slices. Every step rounds up.
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


def slice_values(profit: Float, load: Float, most: int) -> Float:
    """V_t(0), V_t(1), … up to where more replicas earn no more in any slice, or `most`: T × (Y + 1), rounded up.

    `profit` (rounded up already) and `load` (≥ 0) are T × n, a class in a column; what is not above 0 earns nothing,
    and so does NaN: that row costs more than floats hold. What the sums of profits and of loads lose to rounding is
    in proportion to the profits: V_t is concave in y, and so in the loads.
    """
    earns = profit > 0
    gain, need = np.where(earns, profit, 0.0), np.where(earns, load, 0.0)
    peak = float(need.sum(axis=1).max())
    y = np.arange(min(most, max(1, int(np.ceil(peak)))) + 1, dtype=np.float64)
    sold = need > 0
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        order = np.argsort(np.where(sold, -gain / need, 1.0), axis=1, kind="stable")
    at, total = np.zeros((2, len(gain), gain.shape[1] + 1))
    np.cumsum(np.take_along_axis(need, order, axis=1), axis=1, out=at[:, 1:])
    np.cumsum(np.take_along_axis(np.where(sold, gain, 0.0), order, axis=1), axis=1, out=total[:, 1:])
    value = np.array([np.interp(y, *curve) for curve in zip(at, total, strict=True)])
    value += np.where(sold, 0.0, gain).sum(axis=1)[:, None]
    slack = (4 * earns.sum(axis=1) + 64) * EPS * gain.sum(axis=1)
    return np.where(y > 0, value + slack[:, None], 0.0)


def around_the_clock(values: Float) -> Float:
    """V(y) = Σ_t V_t(y), Y + 1: the same replicas stand in every slice of `values`, T × (Y + 1)."""
    return np.asarray(values.sum(axis=0) * (1 + (len(values) - 1) * EPS), np.float64)


def larger(values: Sequence[Float]) -> Float:
    """Elementwise maximum of values, each a row a slice, that stay constant beyond their ends."""
    found = np.full((len(values[0]), max(value.shape[1] for value in values)), -np.inf)
    for value in values:
        inside = value.shape[1]
        np.maximum(found[:, :inside], value, out=found[:, :inside])
        np.maximum(found[:, inside:], value[:, -1:], out=found[:, inside:])
    return found


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
