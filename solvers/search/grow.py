"""What a plan leaves unserved added to it, and nothing else moved: replicas at sites that stand, and sites that pay.

The prices of the residual rows rise from what they are worth to their penalty, as when a first plan is built, so that
the cheapest place takes what it can before a dearer one is asked.
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from solvers.chance import seed_random
from solvers.search.ground import Ground
from solvers.search.moves import turn_of
from solvers.search.network import keep_network
from solvers.search.refit import fit_unit
from solvers.search.state import State, Work, release, settle, use_limits

Float = NDArray[np.float64]
Int = NDArray[np.int64]
Bool = NDArray[np.bool_]

PASSES = 2


@njit(cache=True, nogil=True)
def grow(g: Ground, state: State, work: Work, worth: Float, order: Int, levels: Float, seed: int) -> None:
    """Serve more of the residual demand of `work` at the sites in `order`, anew at every level of prices."""
    seed_random(work.random, seed)
    price, penalty = work.price, g.penalty
    for level in range(len(levels)):
        for k in range(work.number[0]):
            i = work.member[k]
            price[i] = penalty[i] if np.isinf(levels[level]) else min(worth[i] * levels[level], penalty[i])
        for k in range(len(order)):
            extend(g, state, work, order[k])
        if work.number[0] == 0:
            return


@njit(cache=True, nogil=True)
def extend(g: Ground, state: State, work: Work, p: int) -> None:
    """Add to site p what pays at the prices; one that was closed opens if that pays, too."""
    stood = state.open[p]
    first, last = g.site_offer[p], g.site_offer[p + 1]
    use_limits(first, last, state.servers, g.limit_first, g.limit_row, g.limit_value, work.used, -1.0)
    work.money[0] -= state.usd[p]
    profit = 0.0
    u0, u1 = g.unit_first[p], g.unit_first[p + 1]
    turn = turn_of(g, work, p)
    for _ in range(PASSES):
        added = 0.0
        for k in range(u1 - u0):
            added += fit_unit(g, state, work, p, u0 + (k + turn) % (u1 - u0))
        profit += added
        if added <= 0.0:
            break
    if g.network and state.length[p] > 0:
        keep_network(g, state, work, p)
    settle(g, state, work, p)
    if not stood and state.open[p] and (profit <= g.open_usd[p] or work.money[0] > work.money[1]):
        release(g, state, work, p)
