"""Sites that cannot pay for themselves, found without sorting or packing: most of them, at good prices.

GPUs cost at least c a quarter, the least price of any server by its GPUs. With κ the capacity factor, load on block b
costs at least (c·quarters + replica_usd)/κ a replica's worth, so that the unit earns at most

    Σ_groups max_b Σ_t Σ_n max(0, gain_n − θ_bt·pair_load_n),   Σ_t θ_bt = (c·quarters_b + replica_usd_b)/κ

for any θ ≥ 0. The slices share the price by what could be gained in them.
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from solvers.bound.gain import Facts, Prices, gain_of
from solvers.bound.layout import Structure

Float = NDArray[np.float64]


@njit(cache=True, nogil=True)
def at_most(s: Structure, facts: Facts, prices: Prices, unit: int, site: int, part_of: Float) -> float:
    """An upper bound of what `unit` earns; `part_of` (T) is work space."""
    quarter_usd = _quarter_usd(s, facts, prices, unit)
    if quarter_usd == np.inf:
        return 0.0
    _share_out(s, facts, prices, unit, site, part_of)
    total = 0.0
    for part in range(s.part_first[unit], s.part_first[unit + 1]):
        for g in range(s.group_first[part], s.group_first[part + 1]):
            best = 0.0
            for m in range(s.member_first[g], s.member_first[g + 1]):
                most = min(s.block_max[s.members[m]], 4 * s.unit_gpus[unit] // s.group_quarters[g])
                if most > 0:
                    gpus_usd = quarter_usd * s.group_quarters[g]
                    best = max(best, _member(s, facts, prices, site, m, gpus_usd, most, part_of))
            total += best
    return total


@njit(cache=True, nogil=True)
def _quarter_usd(s: Structure, facts: Facts, prices: Prices, unit: int) -> float:
    """The least price of a quarter GPU in any server of the unit, inf without."""
    least = np.inf
    for k in range(s.kind_first[unit], s.kind_first[unit + 1]):
        if s.kind_gpus[k] > 0 and s.kind_ceiling[k] > 0:
            for at in range(s.offer_first[k], s.offer_first[k + 1]):
                o = s.offers[at]
                if facts.offer_max[o] > 0:
                    least = min(least, prices.offer[o] / (4 * s.kind_gpus[k]))
    return least


@njit(cache=True, nogil=True)
def _share_out(s: Structure, facts: Facts, prices: Prices, unit: int, site: int, part_of: Float) -> None:
    """Write the part of every slice in what could be gained on the unit."""
    if facts.slices == 1:
        part_of[0] = 1.0
        return
    part_of[:] = 1e-12
    first, last = s.group_first[s.part_first[unit]], s.group_first[s.part_first[unit + 1]]
    for m in range(s.member_first[first], s.member_first[last]):
        for t in range(facts.slices):
            if s.member_slice[m] < 0 or s.member_slice[m] == t:
                cell = s.members[m] * facts.slices + t
                part_of[t] += _gained(s, facts, prices, site, t, cell, 0.0)
    part_of /= part_of.sum()


@njit(cache=True, nogil=True)
def _member(
    s: Structure, facts: Facts, prices: Prices, site: int, m: int, gpus_usd: float, most: int, part_of: Float
) -> float:
    """What one member earns at most beyond its GPUs and replicas."""
    b = s.members[m]
    each = prices.replica[b] * s.member_cost[m]
    total = 0.0
    if prices.stand_first[b + 1] > prices.stand_first[b]:
        total += prices.stand_usd[prices.stand_first[b + 1] - 1]
    for t in range(facts.slices):
        if s.member_slice[m] >= 0 and s.member_slice[m] != t:
            continue
        rate = part_of[t] * gpus_usd + (part_of[t] if s.member_slice[m] < 0 else 1.0) * each
        if rate < 0.0:
            total -= rate * most
            rate = 0.0
        theta = rate / facts.capacity
        cell = b * facts.slices + t
        total += _gained(s, facts, prices, site, t, cell, theta)
    return total


@njit(cache=True, nogil=True)
def _gained(s: Structure, facts: Facts, prices: Prices, site: int, t: int, cell: int, theta: float) -> float:
    """Σ_n max(0, gain_n − θ·pair_load_n) of one (block, slice)."""
    total = 0.0
    up, down = prices.uplink[site, t], prices.downlink[site, t]
    slot, slots = prices.slot_first[cell], prices.slot_first[cell + 1]
    for j in range(s.cell_first[cell], s.cell_first[cell + 1]):
        i = s.pair_demand[j]
        gain = gain_of(prices.demand[i], prices.paid, s.pair_usd[j], up, facts.out_mbps[i], down, facts.in_mbps[i])
        if slot < slots and prices.slot_pair[slot] == j:
            gain -= prices.slot_usd[slot]
            slot += 1
        total += max(0.0, gain - theta * s.pair_load[j])
    return total
