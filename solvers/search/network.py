"""Equation 9 at one site: traffic beyond the links goes back to the residual demand."""

import numpy as np
from numba import njit

from solvers.search.ground import Ground
from solvers.search.state import State, Work, give


@njit(cache=True, nogil=True)
def keep_network(g: Ground, state: State, work: Work, p: int) -> None:
    """Give back what is worth least per Mbit/s until the links of every slice hold the rest."""
    item, shares, pair_demand, demand_slice = state.item, state.share, g.pair_demand, g.demand_slice
    out_mbps, in_mbps, price, pair_usd = g.out_mbps, g.in_mbps, work.price, g.pair_usd
    base, end = g.item_first[p], g.item_first[p] + state.length[p]
    given = False
    for t in range(g.slices):
        for link in range(2):
            mbps = out_mbps if link == 0 else in_mbps
            limit = g.uplink[p] if link == 0 else g.downlink[p]
            flow = 0.0
            for j in range(base, end):
                i = pair_demand[item[j]]
                if demand_slice[i] == t:
                    flow += shares[j] * mbps[i]
            while flow > limit * (1 + 1e-12):
                worst, at = np.inf, -1
                for j in range(base, end):
                    i = pair_demand[item[j]]
                    if demand_slice[i] == t and shares[j] > 0.0 and mbps[i] > 0.0:
                        worth = (price[i] - pair_usd[item[j]]) / mbps[i]
                        if worth < worst:
                            worst, at = worth, j
                if at < 0:
                    break
                i = pair_demand[item[at]]
                back = min(shares[at], (flow - limit) / mbps[i] * (1 + 1e-9) + 1e-12)
                flow -= back * mbps[i]
                shares[at] -= back
                give(work, i, back)
                given = True
    if given:
        drop_idle(g, state, p)


@njit(cache=True, nogil=True)
def drop_idle(g: Ground, state: State, p: int) -> None:
    """Take away the replicas of site p that its shares no longer ask for."""
    item, shares, pair_block = state.item, state.share, g.pair_block
    base, end = g.item_first[p], g.item_first[p] + state.length[p]
    for b in range(g.block_first[p], g.block_first[p + 1]):
        if state.replicas[b] == 0:
            continue
        busiest, used = 0.0, 0
        for t in range(g.slices):
            load = 0.0
            for j in range(base, end):
                if pair_block[item[j]] == b and shares[j] > 0.0 and g.demand_slice[g.pair_demand[item[j]]] == t:
                    load += shares[j] * g.pair_load[item[j]]
                    used = 1
            busiest = max(busiest, load)
        need = max(int(np.ceil(busiest / g.capacity - 1e-9)), used)
        state.replicas[b] = min(state.replicas[b], need)
