"""What one site could earn at given prices, at most: upper bounds that plain numpy computes.

A block is a shape at a site. With y replicas it earns at most V_t(y) in slice t, the fractional knapsack over the
rows' profits; where replicas stand around the clock, Σ_t V_t(y). Blocks of one (model, GPU, size) exclude each other:
the larger V counts. Blocks of one GPU share its servers: a knapsack over quarter GPUs, in every slice by itself where
replicas follow the slices. Every step rounds up.

Leading axes "…" are sets of prices (the leaves of a group): all functions take any number of them, also none. A value
of -inf is a count of replicas that a leaf forbids.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

Float = NDArray[np.float64]
Int = NDArray[np.int64]
Bool = NDArray[np.bool_]

EPS = float(np.finfo(np.float64).eps)
MOST_STEPS = 50_000_000
"""Additions of the exact knapsack at one site, beyond which its concave relaxation is taken."""
MOST_STATES = 50_000
"""Server combinations kept apart; beyond, those of one capacity are merged into something better than each."""
AT_ONCE = 100_000
"""Counts of replicas times cells up to which all are added up in one array."""
LONG_ROW = 1000
"""Items of a row times counts of replicas, from which on rows are valued one by one."""
FEW_STATES = 64
"""Server combinations beyond which the dearer of those alike are dropped."""


def profit_usd(income: Float, cost: Float) -> Float:
    """What rows earn, at most: income (any sign) less cost (≥ 0), raised by what both may have lost.

    Either is a product of a few figures and sums of such: less than 32 roundings of half a unit in the last place.
    """
    return np.asarray(income - cost + 16 * EPS * (np.abs(income) + cost), np.float64)


def slice_values(profit: Float, load: Float, most: int) -> Float:
    """V_t(0), V_t(1), … up to where more replicas earn no more in any slice, or `most`: … × T × (Y + 1), rounded up.

    `profit` (rounded up already) is … × T × n, `load` (≥ 0) like it or T × n, a class in a column; what is not above 0
    earns nothing, and so does NaN: that row costs more than floats hold. What the sums of profits and of loads lose to
    rounding is in proportion to the profits: V_t is concave in y, and so in the loads.
    """
    earns = profit > 0
    gain, need = np.where(earns, profit, 0.0), np.where(earns, load, 0.0)
    peak = float(need.sum(axis=-1).max(initial=0.0))
    y = np.arange(min(most, max(1, int(np.ceil(peak)))) + 1, dtype=np.float64)
    sold = need > 0
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        order = np.argsort(np.where(sold, -gain / need, 1.0), axis=-1, kind="stable")
    at = np.zeros((*gain.shape[:-1], gain.shape[-1] + 1))
    np.cumsum(np.take_along_axis(need, order, axis=-1), axis=-1, out=at[..., 1:])
    value = _filled(at, np.take_along_axis(np.where(sold, gain, 0.0), order, axis=-1), y)
    value += np.where(sold, 0.0, gain).sum(axis=-1)[..., None]
    slack = (4 * earns.sum(axis=-1) + 64) * EPS * gain.sum(axis=-1)
    return np.where(y > 0, value + slack[..., None], 0.0)


def _filled(at: Float, gain: Float, y: Float) -> Float:
    """Σ of the gains, each by how much of its stretch of `at` lies below y; … × (Y + 1).

    Short rows go all at once, one y after another; long ones one after another.
    """
    if gain.shape[-1] * len(y) > LONG_ROW:
        total = np.zeros(at.shape)
        np.cumsum(gain, axis=-1, out=total[..., 1:])
        curves = zip(at.reshape(-1, at.shape[-1]), total.reshape(-1, at.shape[-1]), strict=True)
        return np.array([np.interp(y, *curve) for curve in curves]).reshape(*gain.shape[:-1], len(y))
    begin, end = at[..., :-1], at[..., 1:]
    found = np.zeros((*gain.shape[:-1], len(y)))
    with np.errstate(divide="ignore", invalid="ignore"):
        for k, replicas in enumerate(y):
            part = np.clip((replicas - begin) / (end - begin), 0.0, 1.0)
            found[..., k] = (gain * np.where(end <= replicas, 1.0, part)).sum(axis=-1)
    return found


def around_the_clock(values: Float) -> Float:
    """V(y) = Σ_t V_t(y), … × (Y + 1): the same replicas stand in every slice of `values`, … × T × (Y + 1)."""
    return np.asarray(values.sum(axis=-2) * (1 + (values.shape[-2] - 1) * EPS), np.float64)


def longer(value: Float, length: int) -> Float:
    """The value as an array of at least so many counts: it stays constant beyond its end."""
    missing = length - value.shape[-1]
    if missing <= 0:
        return value
    return np.concatenate([value, np.repeat(value[..., -1:], missing, axis=-1)], axis=-1)


def larger(values: Sequence[Float]) -> Float:
    """Elementwise maximum of values, … × (Y + 1) each, that stay constant beyond their ends."""
    length = max(value.shape[-1] for value in values)
    found = longer(values[0], length)
    for value in values[1:]:
        found = np.maximum(found, longer(value, length))
    return found


def trimmed(value: Float) -> Float:
    """The value without the end where more replicas earn no more at any price."""
    with np.errstate(invalid="ignore"):
        grows = np.diff(value, axis=-1) > 0
    ends = np.flatnonzero(grows.any(axis=tuple(range(value.ndim - 1))))
    return value[..., : ends[-1] + 2] if len(ends) else value[..., :1]


@dataclass(frozen=True)
class Group:
    """Blocks that exclude each other: quarter GPUs a replica takes, and the value of 0, 1, 2, … replicas."""

    quarters: int
    value: Float  # … × (Y + 1)


def useful_quarters(groups: Sequence[Group]) -> int:
    """Quarter GPUs beyond which the groups earn no more."""
    return sum(group.quarters * (group.value.shape[-1] - 1) for group in groups)


def packed(groups: Sequence[Group], capacity: int) -> Float:
    """Most that the groups earn together in 0, 1, …, `capacity` quarter GPUs, … × (capacity + 1)."""
    unit = int(np.gcd.reduce([group.quarters for group in groups]))
    cells = capacity // unit
    if sum(group.value.shape[-1] for group in groups) * cells > MOST_STEPS:
        return _packed_concave(groups, capacity)
    best = np.zeros((*groups[0].value.shape[:-1], cells + 1))
    for group in groups:
        step = group.quarters // unit
        value = group.value[..., : cells // step + 1]
        best = _beside(best, value, step) if value.size * cells <= AT_ONCE else _beside_one_by_one(best, value, step)
    return np.asarray(np.repeat(best, unit, axis=-1)[..., : capacity + 1] * (1 + (len(groups) + 4) * EPS), np.float64)


def _beside(best: Float, value: Float, step: int) -> Float:
    """Most of `best`, by cells, together with y replicas of `value` that take `step` cells each; … × cells."""
    counts, cells = value.shape[-1], best.shape[-1]
    free = np.concatenate([np.full((*best.shape[:-1], (counts - 1) * step), -np.inf), best], axis=-1)
    left = sliding_window_view(free, cells, axis=-1)[..., ::step, :]  # of every y, the last one first: what it leaves
    total = np.empty((*np.broadcast_shapes(best.shape[:-1], value.shape[:-1]), counts, cells))
    np.add(left, value[..., ::-1, None], out=total)
    return np.asarray(total.max(axis=-2), np.float64)


def _beside_one_by_one(best: Float, value: Float, step: int) -> Float:
    """The same without an array of all counts by all cells."""
    found = best + value[..., :1]
    for y in range(1, value.shape[-1]):
        at = y * step
        np.maximum(found[..., at:], best[..., :-at] + value[..., y : y + 1], out=found[..., at:])
    return found


def _packed_concave(groups: Sequence[Group], capacity: int) -> Float:
    """The same with fractional replicas on the concave hull of every value: never less, and fast.

    What a leaf asks for at least is left out: a forbidden count below it is valued as the least that is allowed.
    """
    leading = groups[0].value.shape[:-1]
    found = np.empty((*leading, capacity + 1))
    for at in np.ndindex(leading):
        found[at] = _hull_packed([(group.quarters, _allowed(group.value[at])) for group in groups], capacity)
    return found


def _allowed(value: Float) -> Float:
    """Counts that are forbidden, all at the start, at the value of the first that is not."""
    some = np.flatnonzero(np.isfinite(value))
    return np.maximum(value, value[some[0]]) if len(some) else np.zeros(1)


def _hull_packed(groups: Sequence[tuple[int, Float]], capacity: int) -> Float:
    lengths, gains, start = [], [], 0.0
    for quarters, value in groups:
        x, v = _hull(value)
        lengths.append(np.diff(x) * quarters)
        gains.append(np.diff(v))
        start += float(v[0])
    length, gain = np.concatenate(lengths), np.concatenate(gains)
    order = np.argsort(-gain / length, kind="stable")
    at = np.concatenate([[0.0], np.cumsum(length[order])])
    total = start + np.concatenate([[0.0], np.cumsum(gain[order])])
    rounding = 1 + (len(order) + (len(groups) if start else 0) + 4) * EPS
    return np.asarray(np.interp(np.arange(capacity + 1), at, total) * rounding, np.float64)


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
    server: str = ""


@dataclass(frozen=True)
class ServerLimits:
    """How many servers of some kinds the leaves ask for: at least, at most, A × kinds."""

    servers: tuple[str, ...]
    least: Int
    most: Int


NO_LIMITS = ServerLimits((), np.zeros((1, 0), np.int64), np.zeros((1, 0), np.int64))


@dataclass(frozen=True)
class Held:
    """What the GPUs of one kind and owner earn less their servers: without any, and with some; … each."""

    none: Float
    some: Float  # -inf where none may stand

    @property
    def best(self) -> Float:
        return np.maximum(self.none, self.some)


def best_servers(offers: Sequence[Offer], value: Float, power_kw: float, rack_units: float) -> Float:
    """Most of `value` (by quarter GPUs) less servers, over all counts of offers within kW and rack units; …, ≥ 0."""
    return held_servers(offers, value, power_kw, rack_units, NO_LIMITS).best


def held_servers(
    offers: Sequence[Offer], value: Float, power_kw: float, rack_units: float, limits: ServerLimits
) -> Held:
    """The same, with counts as every leaf allows them; `value` is A × (capacity + 1) where there are limits."""
    states = _states(offers, value.shape[-1] - 1, power_kw, rack_units, limits.servers)
    empty = ~states[:, 4].astype(np.bool_)
    quarters, usd = states[:, 0].astype(np.int64), states[:, 3] * (1 - 64 * EPS)
    earned = value[..., quarters] - usd
    if limits.servers:
        counts = states[None, :, 5:]
        fits = (counts >= limits.least[:, None, :]) & (counts <= limits.most[:, None, :]) | np.isnan(counts)
        earned = np.where(fits.all(axis=-1), earned, -np.inf)
    return Held(*(earned[..., of].max(axis=-1, initial=-np.inf) for of in (empty, ~empty)))


def _states(
    offers: Sequence[Offer], capacity: int, power_kw: float, rack_units: float, tracked: Sequence[str]
) -> Float:
    """Combinations of servers: quarters, kW, U, USD, servers, and servers of each tracked kind (NaN: forgotten)."""
    states = np.zeros((1, 5 + len(tracked)))
    for offer in offers:
        unit = np.array([offer.quarters, offer.power_kw, offer.rack_units, offer.usd, 1.0], np.float64)
        unit = np.concatenate([unit, [float(offer.server == name) for name in tracked]])
        counts = np.arange(offer.most + 1, dtype=np.float64)
        states = (states[:, None, :] + counts[None, :, None] * unit).reshape(-1, len(unit))
        fits = (states[:, 1] <= power_kw * (1 + 1e-9)) & (states[:, 2] <= rack_units * (1 + 1e-9))
        states = states[fits]
        states[:, 0] = np.minimum(states[:, 0], capacity)
        if len(states) > MOST_STATES:
            states = _merged(states)
    return _cheapest(states) if len(states) > FEW_STATES else states


def _cheapest(states: Float) -> Float:
    """Of states with the same quarters and tracked servers the cheapest: within the limits, nothing else counts."""
    some = states[:, 4:5] > 0
    keys = np.column_stack([states[:, :1], some, states[:, 5:]])
    order = np.lexsort((states[:, 3], *keys.T))
    kept = np.any(np.diff(keys[order], axis=0, prepend=-1.0) != 0, axis=1)
    return states[order[kept]]


def _merged(states: Float) -> Float:
    """One state per capacity with the least kW, rack units and USD of any: better than each of them.

    How many of each kind it holds is forgotten, but that it holds none where the empty state is one of them.
    """
    key = 2 * states[:, 0] + (states[:, 4] > 0)
    kept, which = np.unique(key, return_inverse=True)
    least = np.full((len(kept), states.shape[1]), np.inf)
    np.minimum.at(least, which, states)
    least[least[:, 4] > 0, 5:] = np.nan
    return least
