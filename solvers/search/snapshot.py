"""Plans going in and out of the search's lists."""

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from solvers.problem import Problem
from solvers.search.ground import Ground
from solvers.search.moves import residual
from solvers.search.reference import refer
from solvers.search.state import State, empty_state
from solvers.solution import Placement

Float = NDArray[np.float64]
Int = NDArray[np.int64]


@dataclass(frozen=True)
class Snapshot:
    """A copy of a state, as long as the plan and not as the problem."""

    pair: Int
    share: Float
    replicas: Int
    servers: Int
    usd: float  # with the unserved


def snapshot(ground: Ground, state: State) -> Snapshot:
    """Copy `state`; what it costs is added up anew."""
    spans = [
        slice(first, first + count)
        for first, count in zip(ground.item_first[:-1].tolist(), state.length.tolist(), strict=True)
        if count
    ]
    pair = np.concatenate([state.item[span] for span in spans]) if spans else np.zeros(0, np.int32)
    share = np.concatenate([state.share[span] for span in spans]) if spans else np.zeros(0)
    return Snapshot(pair.astype(np.int64), share, state.replicas.copy(), state.servers.copy(), state_usd(ground, state))


def unserved_share(ground: Ground, state: State) -> Float:
    """What the state leaves of every row, added up anew."""
    return residual(ground.pair_demand, ground.item_first, state.item, state.share, state.length, len(ground.penalty))


def state_usd(ground: Ground, state: State) -> float:
    """The cost of a state, USD a month."""
    return float(state.usd.sum() + np.maximum(unserved_share(ground, state), 0.0) @ ground.penalty)


def load_state(ground: Ground, shot: Snapshot) -> State:
    """A state from a snapshot."""
    state = empty_state(ground)
    state.replicas[:] = shot.replicas
    state.servers[:] = shot.servers
    _fill(refer(ground), refer(state), shot.pair, shot.share)
    return state


@njit(cache=True, nogil=True)
def _fill(g: Ground, state: State, pair: Int, share: Float) -> None:
    sites = len(g.open_usd)
    for k in range(len(pair)):
        p = g.block_site[g.pair_block[pair[k]]]
        at = g.item_first[p] + state.length[p]
        state.item[at] = pair[k]
        state.share[at] = share[k]
        state.length[p] += 1
        state.usd[p] += share[k] * g.pair_usd[pair[k]]
    for p in range(sites):
        for o in range(g.site_offer[p], g.site_offer[p + 1]):
            if state.servers[o] > 0:
                state.open[p] = True
                state.usd[p] += state.servers[o] * g.offer_usd[o]
        for b in range(g.block_first[p], g.block_first[p + 1]):
            state.usd[p] += state.replicas[b] * g.replica_usd[b]
        if state.open[p]:
            state.usd[p] += g.open_usd[p]


def from_placement(problem: Problem, placement: Placement) -> Snapshot:
    """A plan as a snapshot (its cost is not filled in)."""
    used = np.flatnonzero(placement.share > 0)
    return Snapshot(
        used, placement.share[used], placement.replicas.astype(np.int64), placement.servers.astype(np.int64), np.nan
    )


def to_placement(problem: Problem, shot: Snapshot) -> Placement:
    """A snapshot as a plan: shares summed per pair, unserved what is left."""
    pair, at = np.unique(shot.pair, return_inverse=True)
    part = np.bincount(at, shot.share, minlength=len(pair)).astype(float)
    row = problem.pair_demand[pair]
    served = np.bincount(row, part, minlength=problem.demands).astype(float)
    left = np.where(served > 1 - 1e-9, 0.0, 1.0 - np.minimum(served, 1.0))
    whole = (served > 1.0) | ((left == 0.0) & (served > 0.0))
    part /= np.where(whole, served, 1.0)[row]
    share = np.zeros(problem.pairs)
    share[pair] = part
    open_ = np.bincount(problem.offer_site, shot.servers, minlength=problem.sites) > 0
    return Placement(open_, shot.servers.copy(), shot.replicas.copy(), share, left)
