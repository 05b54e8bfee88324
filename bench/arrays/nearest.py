"""What a planner without an optimiser does: every class to its nearest site with room, replicas and servers rounded up.

Plain numpy, no solver. Classes go in order of demand; a class goes to the site that is cheapest for it (nearest, as
the generator's cost of a pair is its round trip and its egress) and, where a site is full, on to the next.
"""

import math
from dataclasses import dataclass

import numpy as np

from bench.arrays.instance import SERVER_GPUS, EdgeArrays, Float, Int
from bench.arrays.planned import ArrayPlan
from bench.arrays.site import server_choices


@dataclass
class _State:
    """What stands so far."""

    load: Float  # B: replicas busy
    gbps: Float  # P
    servers: Int  # P × 3
    share: Float  # N


def nearest_site(arrays: EdgeArrays, first_choice: Int | None = None) -> ArrayPlan:
    """The plan; a class goes first to the site of `first_choice` (I, -1: none) where there is one."""
    state = _State(
        np.zeros(arrays.blocks), np.zeros(arrays.sites), np.zeros((arrays.sites, 3), np.int64), np.zeros(arrays.pairs)
    )
    first, block = arrays.pair_first, arrays.pair_block
    room = _Room(arrays)
    left = np.ones(arrays.classes)
    for i in np.argsort(-arrays.demand, kind="stable").tolist():
        pairs = np.arange(first[i], first[i + 1])
        later = np.zeros(len(pairs), bool) if first_choice is None else arrays.pair_site[pairs] != first_choice[i]
        for n in pairs[np.lexsort((arrays.pair_cost[pairs], later))].tolist():
            taken = room.take(state, i, int(arrays.pair_site[n]), int(block[n]), float(left[i]))
            state.share[n] = taken
            left[i] -= taken
            if left[i] <= 1e-12:
                left[i] = 0.0
                break
    opened = np.asarray(state.servers.any(axis=1), np.float64)
    replicas: Float = np.ceil(state.load - 1e-9).astype(np.float64)
    return ArrayPlan(opened, state.servers.astype(np.float64), replicas, state.share, np.asarray(left, np.float64))


class _Room:
    """What sites can still take: servers are bought when a replica no longer fits."""

    def __init__(self, arrays: EdgeArrays) -> None:
        self.arrays = arrays
        self.gpus = arrays.gpus_per_replica[arrays.replica_model]
        self.blocks = [np.flatnonzero(arrays.replica_site == p) for p in range(arrays.sites)]
        self.choices = [server_choices(arrays, p) for p in range(arrays.sites)]
        self.stock = arrays.inventory.copy()

    def take(self, state: _State, i: int, site: int, block: int, wanted: float) -> float:
        """Serve as much of class i's `wanted` share there as fits, buying servers; the share served."""
        arrays = self.arrays
        demand = float(arrays.demand[i])
        gbps = demand * float(arrays.uplink_per_replica[arrays.class_model[i]])
        share = min(wanted, max(0.0, float(arrays.uplink[site]) - float(state.gbps[site])) / gbps)
        used = float(np.ceil(state.load[self.blocks[site]] - 1e-9) @ self.gpus[self.blocks[site]])
        each, busy = float(self.gpus[block]), float(state.load[block])
        others = used - math.ceil(busy - 1e-9) * each
        most = math.floor((self._most_gpus(state, site) - others) / each + 1e-9)
        share = min(share, max(0.0, most - busy) / demand)
        if share <= 1e-9:
            return 0.0
        self._buy(state, site, others + math.ceil(busy + share * demand - 1e-9) * each)
        state.load[block] += share * demand
        state.gbps[site] += share * gbps
        return share

    def _reachable(self, state: _State, site: int) -> Int:
        """Combinations of servers that the site could hold once others keep theirs."""
        choices = self.choices[site]
        within: Int = choices[(choices <= self.stock + state.servers[site]).all(axis=1)]
        return within

    def _most_gpus(self, state: _State, site: int) -> float:
        return float((self._reachable(state, site) @ SERVER_GPUS).max())

    def _buy(self, state: _State, site: int, gpus: float) -> None:
        """Hold the cheapest servers there that have so many GPUs."""
        choices = self._reachable(state, site)
        enough = choices[choices @ SERVER_GPUS >= gpus - 1e-9]
        best = enough[np.argmin(enough @ self.arrays.server_cost[site])]
        self.stock -= best - state.servers[site]
        state.servers[site] = best
