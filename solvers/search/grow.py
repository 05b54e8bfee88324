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
from solvers.search.refit import fill_site
from solvers.search.state import State, Work, release, use_limits

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
    merge(g, state, p)
    stood = state.open[p]
    first, last = g.site_offer[p], g.site_offer[p + 1]
    use_limits(first, last, state.servers, g.limit_first, g.limit_row, g.limit_value, work.used, -1.0)
    work.money[0] -= state.usd[p]
    profit = fill_site(g, state, work, p, turn_of(g, work, p), PASSES)
    if not stood and state.open[p] and (profit <= g.open_usd[p] or work.money[0] > work.money[1]):
        release(g, state, work, p)


@njit(cache=True, nogil=True)
def merge(g: Ground, state: State, p: int) -> None:
    """List every pair of site p once: there is room for so many, and each time something is added some come again."""
    first, item, share = g.item_first[p], state.item, state.share
    order = np.argsort(item[first : first + state.length[p]], kind="mergesort")
    pairs, shares = item[first : first + state.length[p]][order], share[first : first + state.length[p]][order]
    end = first - 1
    for k in range(len(pairs)):
        if k > 0 and pairs[k] == pairs[k - 1]:
            share[end] += shares[k]
            continue
        end += 1
        item[end], share[end] = pairs[k], shares[k]
    state.length[p] = end + 1 - first
