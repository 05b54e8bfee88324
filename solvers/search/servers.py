"""Servers for given replicas at one site, under what the rest of the plan leaves of power, rack and stock."""

import numpy as np
from numba import njit

from solvers.search.ground import Ground
from solvers.search.state import State, Work

LOOSE = 1e-9


@njit(cache=True, nogil=True)
def site_spare(g: Ground, state: State, work: Work, p: int, unit: int) -> None:
    """Write to `spare` what `unit` may use: site limits less the other units' servers, limit rows less all others'.

    The accounts of the limit rows do not hold site p while it is being fitted, so its other units are taken off here.
    """
    resources = g.site_limit.shape[1]
    for r in range(resources):
        work.spare[r] = g.site_limit[p, r] * (1 + LOOSE)
    for row in range(len(work.used)):
        work.spare[resources + row] = work.room[row] - work.used[row] + LOOSE * max(1.0, abs(work.room[row]))
    for o in range(g.site_offer[p], g.site_offer[p + 1]):
        if g.offer_unit[o] != unit and state.servers[o] > 0:
            for r in range(resources):
                work.spare[r] -= g.offer_use[o, r] * state.servers[o]
            for k in range(g.limit_first[o], g.limit_first[o + 1]):
                work.spare[resources + g.limit_row[k]] -= g.limit_value[k] * state.servers[o]


@njit(cache=True, nogil=True)
def draws(g: Ground, work: Work, offer: int, count: int) -> None:
    """Take `count` servers of the offer off `spare` (negative: put back)."""
    resources = g.site_limit.shape[1]
    for r in range(resources):
        work.spare[r] -= g.offer_use[offer, r] * count
    for k in range(g.limit_first[offer], g.limit_first[offer + 1]):
        work.spare[resources + g.limit_row[k]] -= g.limit_value[k] * count


@njit(cache=True, nogil=True)
def one_fits(g: Ground, work: Work, offer: int) -> bool:
    """Whether one more server of the offer stays within `spare`."""
    resources = g.site_limit.shape[1]
    for r in range(resources):
        if g.offer_use[offer, r] > work.spare[r]:
            return False
    for k in range(g.limit_first[offer], g.limit_first[offer + 1]):
        if g.limit_value[k] > work.spare[resources + g.limit_row[k]]:
            return False
    return True


@njit(cache=True, nogil=True)
def enough(g: Ground, work: Work, p: int, unit: int) -> bool:
    """Whether `counts` meet the need of every size (equation 6)."""
    for z in range(4):
        held = 0
        for o in range(g.site_offer[p], g.site_offer[p + 1]):
            if g.offer_unit[o] == unit and g.offer_quarters[o] >= g.sizes[z]:
                held += g.offer_quarters[o] * work.counts[o - g.site_offer[p]]
        if held < work.need[z]:
            return False
    return True


@njit(cache=True, nogil=True)
def fast_counts(g: Ground, work: Work, p: int, unit: int) -> bool:
    """Try the tabled cheapest servers for the need; True when they fit everything, then they are in `counts`."""
    gpus = (work.need[0] + 3) // 4
    k0, k1 = g.kind_first[unit], g.kind_first[unit + 1]
    work.counts[:] = 0
    for k in range(k0, k1):
        left = g.table_count[g.best_first[unit] + gpus * (k1 - k0) + k - k0]
        for at in range(g.offer_first[k], g.offer_first[k + 1]):
            o = g.offers[at]
            here = min(left, g.offer_max[o])
            work.counts[o - g.site_offer[p]] = here
            left -= here
    if not enough(g, work, p, unit):
        return False
    fits = True
    for o in range(g.site_offer[p], g.site_offer[p + 1]):
        draws(g, work, o, work.counts[o - g.site_offer[p]])
    for row in range(len(work.spare)):
        if work.spare[row] < 0.0:
            fits = False
    for o in range(g.site_offer[p], g.site_offer[p + 1]):
        draws(g, work, o, -work.counts[o - g.site_offer[p]])
    return fits


@njit(cache=True, nogil=True)
def step(g: Ground, work: Work, p: int, unit: int) -> bool:
    """Advance `try_counts` to the next vector of counts that fits `spare` (which follows it); False at the end."""
    first = g.site_offer[p]
    for o in range(g.site_offer[p + 1] - 1, first - 1, -1):
        if g.offer_unit[o] != unit:
            continue
        if work.try_counts[o - first] < g.offer_max[o] and one_fits(g, work, o):
            work.try_counts[o - first] += 1
            draws(g, work, o, 1)
            return True
        draws(g, work, o, -work.try_counts[o - first])
        work.try_counts[o - first] = 0
    return False


@njit(cache=True, nogil=True)
def tried(g: Ground, work: Work, p: int, unit: int) -> tuple[int, float]:
    """GPUs and guiding USD of `try_counts`."""
    quarters, usd = 0, 0.0
    for o in range(g.site_offer[p], g.site_offer[p + 1]):
        count = work.try_counts[o - g.site_offer[p]]
        if count > 0:
            quarters += g.offer_quarters[o] * count
            usd += g.offer_guide[o] * count
    return quarters // 4, usd


@njit(cache=True, nogil=True)
def cost_table(g: Ground, work: Work, p: int, unit: int, size: int) -> None:
    """Write to `table` the least USD of at least G GPUs from the servers that can really be had."""
    work.table[:size] = np.inf
    work.try_counts[:] = 0
    while True:
        gpus, usd = tried(g, work, p, unit)
        at = min(gpus, size - 1)
        work.table[at] = min(work.table[at], usd)
        if not step(g, work, p, unit):
            break
    for at in range(size - 2, -1, -1):
        work.table[at] = min(work.table[at], work.table[at + 1])


@njit(cache=True, nogil=True)
def slow_counts(g: Ground, work: Work, p: int, unit: int) -> bool:
    """The cheapest `counts` that meet the need of every size within `spare`; False when none do."""
    work.try_counts[:] = 0
    best = np.inf
    first = g.site_offer[p]
    while True:
        _, usd = tried(g, work, p, unit)
        if usd < best and meets(g, work, p, unit):
            best = usd
            for o in range(first, g.site_offer[p + 1]):
                work.counts[o - first] = work.try_counts[o - first]
        if not step(g, work, p, unit):
            return bool(np.isfinite(best))


@njit(cache=True, nogil=True)
def meets(g: Ground, work: Work, p: int, unit: int) -> bool:
    """`enough` for `try_counts`."""
    for z in range(4):
        held = 0
        for o in range(g.site_offer[p], g.site_offer[p + 1]):
            if g.offer_unit[o] == unit and g.offer_quarters[o] >= g.sizes[z]:
                held += g.offer_quarters[o] * work.try_counts[o - g.site_offer[p]]
        if held < work.need[z]:
            return False
    return True
