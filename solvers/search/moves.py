"""Large-neighbourhood moves: release some sites that share demand, fit them again at rising prices, keep or restore.

A *rebuild* empties 2–12 sites, some of them closed ones. A *merge* releases one model at 2–16 open sites that share its
demand, while every other row is priced so high that its site keeps it. Metropolis decides (Pisinger & Ropke 2010).
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from solvers.chance import below, seed_random, uniform
from solvers.search.ground import Ground
from solvers.search.refit import refit
from solvers.search.state import MOST_SITES, State, Work, give, release, restore, save

Float = NDArray[np.float64]
Int = NDArray[np.int64]
Int32 = NDArray[np.int32]

FINE = np.array([1.0, 1.02, 1.04, 1.07, 1.1, 1.15, 1.2, 1.3, 1.5, 2.0, 4.0, np.inf])
"""Rises of the prices while a first plan is built: the sites that the bound likes fill before others open."""
COARSE = np.array([1.0, 1.04, 1.1, 1.2, 1.5, np.inf])
"""The same for the most pairs: half the time, and where sites are small a few rounds of moves make up for it."""
INFLATIONS = np.array([1.0, 1.4, 3.0, np.inf])


@njit(cache=True, nogil=True)
def unserved_usd(g: Ground, work: Work) -> float:
    """Penalties of the residual demand that this thread sees."""
    usd = 0.0
    for k in range(work.number[0]):
        i = work.member[k]
        usd += work.left[i] * g.penalty[i]
    return usd


@njit(cache=True, nogil=True)
def pick_neighbours(
    g: Ground, state: State, work: Work, mine: NDArray[np.bool_], appeal: Float, seed_site: int, model: int,
    wanted: int, opened_only: bool,
) -> None:  # fmt: skip
    """Fill `chosen` with the seed and up to wanted - 1 of this thread's sites that could serve what the seed serves."""
    score, touched, chosen, lots, open_ = work.score, work.touched, work.chosen, work.lots, state.open
    pair_block, block_site = g.pair_block, g.block_site
    base = g.item_first[seed_site]
    found = 0
    for _ in range(6):
        i = g.pair_demand[state.item[base + below(work.random, state.length[seed_site])]]
        if model >= 0 and g.demand_model[i] != model:
            continue
        q = seed_site
        for n in range(g.row_first[i], g.row_first[i + 1]):
            before, q = q, block_site[pair_block[n]]
            if q in (before, seed_site) or not mine[q]:
                continue
            weight = 1.0 if open_[q] else (0.0 if opened_only else appeal[q])
            if weight <= 0.0:
                continue
            if score[q] == 0.0:
                touched[found] = q
                found += 1
            score[q] += weight
    chosen[0] = seed_site
    number = 1
    for k in range(found):
        q = touched[k]
        lot = score[q] * uniform(work.random) ** 2
        score[q] = 0.0
        if number < wanted:
            number += 1
        elif wanted < 2 or lot <= lots[number - 1]:
            continue
        at = number - 1
        while at > 1 and lots[at - 1] < lot:
            lots[at], chosen[at] = lots[at - 1], chosen[at - 1]
            at -= 1
        lots[at], chosen[at] = lot, q
    work.number[2] = number


@njit(cache=True, nogil=True)
def strip_model(g: Ground, state: State, work: Work, p: int, model: int) -> None:
    """Release one model at site p; its replicas stay until the site is fitted again."""
    base = g.item_first[p]
    kept = 0
    for j in range(base, base + state.length[p]):
        i = g.pair_demand[state.item[j]]
        if g.demand_model[i] == model:
            give(work, i, state.share[j])
        else:
            state.item[base + kept] = state.item[j]
            state.share[base + kept] = state.share[j]
            kept += 1
    state.length[p] = kept


@njit(cache=True, nogil=True)
def shuffle(work: Work, number: int) -> None:
    """A random order of the chosen sites in `sequence`."""
    for k in range(number):
        work.sequence[k] = work.chosen[k]
    for k in range(number - 1, 0, -1):
        j = below(work.random, k + 1)
        work.sequence[k], work.sequence[j] = work.sequence[j], work.sequence[k]


@njit(cache=True, nogil=True)
def set_prices(g: Ground, state: State, work: Work, worth: Float, factor: float, model: int) -> None:
    """Price the residual rows: λ·factor with noise, at most the penalty.

    Rows of other models than `model`, and those that the chosen sites still serve, get the penalty.
    """
    price, penalty, demand_model = work.price, g.penalty, g.demand_model
    for k in range(work.number[2]):
        base = g.item_first[work.chosen[k]]
        for j in range(base, base + state.length[work.chosen[k]]):
            i = g.pair_demand[state.item[j]]
            price[i] = penalty[i]
    for k in range(work.number[0]):
        i = work.member[k]
        if model >= 0 and demand_model[i] != model:
            price[i] = penalty[i]
        else:
            price[i] = min(worth[i] * factor * (0.85 + 0.3 * uniform(work.random)), penalty[i])


@njit(cache=True, nogil=True)
def inflate(g: Ground, work: Work, worth: Float, factor: float, model: int) -> None:
    """Raise the prices of the released rows for the next pass."""
    for k in range(work.number[0]):
        i = work.member[k]
        if model < 0 or g.demand_model[i] == model:
            work.price[i] = min(worth[i] * factor, g.penalty[i])


@njit(cache=True, nogil=True)
def turn_of(g: Ground, work: Work, p: int) -> int:
    """Which GPU type of the site is filled first."""
    units = g.unit_first[p + 1] - g.unit_first[p]
    return below(work.random, units) if units > 1 else 0


@njit(cache=True, nogil=True)
def rebuild(g: Ground, state: State, work: Work, worth: Float, model: int, allowed: float, rest_usd: float) -> float:
    """Fit the chosen sites at rising prices until no more than `rest_usd` is left unserved; their cost with that.

    It ends early when a rise changes nothing, or when the sites alone cost more than is `allowed`.
    """
    factor = 0.7 + 0.35 * uniform(work.random)
    set_prices(g, state, work, worth, factor, model)
    number = work.number[2]
    passes = 2 if uniform(work.random) < 0.25 else 1
    usd = np.inf
    last = len(INFLATIONS) - 1
    leaps = work.temper[0] > 0.0 and uniform(work.random) < work.temper[0]
    for level in range(last if leaps else 0, last + 1):
        if level > 0:
            if np.isinf(INFLATIONS[level]):
                inflate(g, work, g.penalty, 1.0, model)
            else:
                inflate(g, work, worth, INFLATIONS[level], model)
        shuffle(work, number)
        for k in range(number):
            p = work.sequence[k]
            release(g, state, work, p)
            refit(g, state, work, p, turn_of(g, work, p), passes)
            if level > 0 and unserved_usd(g, work) <= rest_usd:
                break
        before = usd
        left = unserved_usd(g, work)
        usd = left
        for k in range(number):
            usd += state.usd[work.chosen[k]]
        if left <= rest_usd or usd - left > allowed or abs(usd - before) <= 1e-9 * usd:
            break
    return usd


@njit(cache=True, nogil=True)
def added_usd(g: Ground, state: State, work: Work) -> float:
    """What the replicas of the neighbourhood that did not stand before have to save."""
    if work.money[2] <= 0.0:
        return 0.0
    count = 0
    for k in range(work.number[2]):
        p = work.chosen[k]
        for b in range(g.block_first[p], g.block_first[p + 1]):
            count += max(state.replicas[b] - work.stood[b], 0)
    return float(count * work.money[2])


@njit(cache=True, nogil=True)
def one_move(
    g: Ground, state: State, work: Work, mine: NDArray[np.bool_], appeal: Float, worth: Float, seeds: Int, heat: float
) -> None:
    """Try one neighbourhood at temperature `heat`; at none, only what is cheaper is a change worth making."""
    p = seeds[below(work.random, len(seeds))]
    if state.length[p] == 0:
        return
    model = -1
    if uniform(work.random) < 0.5:
        model = g.demand_model[g.pair_demand[state.item[g.item_first[p] + below(work.random, state.length[p])]]]
        wanted = 2 + int((MOST_SITES - 1) * uniform(work.random) ** 2)
    else:
        wanted = 2 + int(11 * uniform(work.random) ** 2)
    pick_neighbours(g, state, work, mine, appeal, p, model, wanted, model >= 0 and uniform(work.random) < 0.8)
    before = unserved_usd(g, work)
    stays = added_usd(g, state, work)
    rest = before * (1 + 1e-9) + 1e-9
    for k in range(work.number[2]):
        before += state.usd[work.chosen[k]]
    paid = work.money[0]
    save(g, state, work)
    for k in range(work.number[2]):
        if model >= 0:
            strip_model(g, state, work, work.chosen[k], model)
        else:
            release(g, state, work, work.chosen[k])
    allowed = before - 1e-9 * abs(before)
    if heat > 0.0:
        allowed = before - heat * np.log(max(uniform(work.random), 1e-12))
    after = rebuild(g, state, work, worth, model, allowed, rest)
    work.number[4] += 1
    if after + added_usd(g, state, work) <= allowed + stays and (
        work.money[0] <= work.money[1] or work.money[0] <= paid
    ):
        work.number[3] += 1
    else:
        restore(g, state, work)


@njit(cache=True, nogil=True)
def run_moves(
    g: Ground, state: State, work: Work, mine: NDArray[np.bool_], near: NDArray[np.bool_], appeal: Float, worth: Float,
    moves: int, heat: float, seed: int,
) -> None:  # fmt: skip
    """`moves` moves on this thread's sites, each from one of those that are `near`."""
    seed_random(work.random, seed)
    seeds = np.empty(len(mine), np.int64)
    for _ in range(0, moves, 32):
        number = 0
        for p in range(len(mine)):
            if near[p] and state.open[p] and state.length[p] > 0:
                seeds[number] = p
                number += 1
        if number == 0:
            return
        for _ in range(32):
            one_move(g, state, work, mine, appeal, worth, seeds[:number], heat)


@njit(cache=True, nogil=True)
def construct(g: Ground, state: State, work: Work, worth: Float, order: Int, levels: Float, seed: int) -> None:
    """A first plan: fit all sites in `order`, anew at every level of prices (inf: the penalty)."""
    seed_random(work.random, seed)
    price, penalty = work.price, g.penalty
    for level in range(len(levels)):
        for i in range(len(worth)):
            price[i] = penalty[i] if np.isinf(levels[level]) else min(worth[i] * levels[level], penalty[i])
        for k in range(len(order)):
            release(g, state, work, order[k])
            refit(g, state, work, order[k], turn_of(g, work, order[k]), 2)
        if work.number[0] == 0:
            return


@njit(cache=True, nogil=True)
def residual(pair_demand: Int32, item_first: Int, item: Int32, share: Float, count: Int, rows: int) -> Float:
    """The unserved share of every row, added up anew."""
    left = np.ones(rows)
    for p in range(len(count)):
        for j in range(item_first[p], item_first[p] + count[p]):
            left[pair_demand[item[j]]] -= share[j]
    return left


@njit(cache=True, nogil=True)
def assign(work: Work, left: Float, rows: NDArray[np.bool_]) -> None:
    """Give this thread the residual demand of `rows`."""
    work.number[:] = 0
    for i in range(len(left)):
        work.left[i] = 0.0
        work.place[i] = -1
    for i in range(len(left)):
        if rows[i] and left[i] > 0.0:
            give(work, i, left[i])


__all__ = ["assign", "construct", "residual", "run_moves"]
