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
def at_most(s: Structure, facts: Facts, prices: Prices, unit: int, site: int, part_of: Float, gained: Float) -> float:
    """An upper bound of what `unit` earns; `part_of` and `gained` (T) are work space."""
    quarter_usd = _quarter_usd(s, facts, prices, unit)
    if quarter_usd == np.inf:
        return 0.0
    _share_out(s, facts, prices, unit, site, part_of, gained)
    total = 0.0
    for part in range(s.part_first[unit], s.part_first[unit + 1]):
        for g in range(s.group_first[part], s.group_first[part + 1]):
            best = 0.0
            for m in range(s.member_first[g], s.member_first[g + 1]):
                most = min(s.block_max[s.members[m]], 4 * s.unit_gpus[unit] // s.group_quarters[g])
                if most > 0:
                    gpus_usd = quarter_usd * s.group_quarters[g]
                    best = max(best, _member(s, facts, prices, site, m, gpus_usd, most, part_of, gained))
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
def _share_out(s: Structure, facts: Facts, prices: Prices, unit: int, site: int, part_of: Float, gained: Float) -> None:
    """Write the part of every slice in what could be gained on the unit."""
    if facts.slices == 1:
        part_of[0] = 1.0
        return
    gained[:] = 1e-12
    first, last = s.group_first[s.part_first[unit]], s.group_first[s.part_first[unit + 1]]
    for m in range(s.member_first[first], s.member_first[last]):
        _gain(s, facts, prices, site, m, 0.0, part_of, gained)
    part_of[:] = gained / gained.sum()


@njit(cache=True, nogil=True)
def _member(
    s: Structure, facts: Facts, prices: Prices, site: int, m: int, gpus_usd: float, most: int, part_of: Float,
    gained: Float,
) -> float:  # fmt: skip
    """What one member earns at most beyond its GPUs and replicas."""
    b, alone = s.members[m], s.member_slice[m]
    each = prices.replica[b] * s.member_cost[m]
    total = 0.0
    if prices.stand_first[b + 1] > prices.stand_first[b]:
        total += prices.stand_usd[prices.stand_first[b + 1] - 1]
    rate = gpus_usd + each if alone < 0 else part_of[alone] * gpus_usd + each
    if rate < 0.0:
        total -= rate * most
        rate = 0.0
    return total + _gain(s, facts, prices, site, m, rate / facts.capacity, part_of, gained)


@njit(cache=True, nogil=True, inline="always")
def _gain(
    s: Structure, facts: Facts, prices: Prices, site: int, m: int, rate: float, part_of: Float, gained: Float
) -> float:
    """Σ_n max(0, gain_n − θ·pair_load_n) of one member, θ a slice's part of `rate`; added by slice to `gained`, too.

    Arrays are taken out of their tuples first: in the loop that would count references.
    """
    alone = s.member_slice[m]
    cell_first, cell_slice = s.cell_first, s.cell_slice
    pair_demand, pair_usd, pair_load = s.pair_demand, s.pair_usd, s.pair_load
    slot_first, slot_pair, slot_usd = prices.slot_first, prices.slot_pair, prices.slot_usd
    demand_usd, uplink, downlink = prices.demand, prices.uplink, prices.downlink
    out_mbps, in_mbps, paid = facts.out_mbps, facts.in_mbps, prices.paid
    b, wired = s.members[m], prices.uplink.shape[1] if prices.network else 0
    whole = 0.0
    for cell in range(s.block_cell[b], s.block_cell[b + 1]):
        t = cell_slice[cell]
        if alone >= 0 and alone != t:
            continue
        theta = rate * (part_of[t] if alone < 0 else 1.0)
        up, down = 0.0, 0.0
        if t < wired:
            up, down = uplink[site, t], downlink[site, t]
        slot, slots = slot_first[cell], slot_first[cell + 1]
        total = 0.0
        if up == 0.0 and down == 0.0 and slot == slots:
            for j in range(cell_first[cell], cell_first[cell + 1]):
                total += max(0.0, demand_usd[pair_demand[j]] - paid * pair_usd[j] - theta * pair_load[j])
        else:
            for j in range(cell_first[cell], cell_first[cell + 1]):
                i = pair_demand[j]
                gain = gain_of(demand_usd[i], paid, pair_usd[j], up, out_mbps[i], down, in_mbps[i])
                if slot < slots and slot_pair[slot] == j:
                    gain -= slot_usd[slot]
                    slot += 1
                total += max(0.0, gain - theta * pair_load[j])
        gained[t] += total
        whole += total
    return whole
