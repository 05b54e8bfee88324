"""What the records ask for made to stand: replicas, and the cheapest servers under them that are to be had."""

import numpy as np
from numba import njit

from solvers.complete.anneal.land import Land
from solvers.complete.anneal.plan import Plan

FULL = 5e-10
"""Of a replica, that a load may be over whole ones; less than what the check allows."""


@njit(cache=True, nogil=True)
def needed(g: Land, s: Plan, b: int) -> int:
    """Replicas that the records on a block ask for."""
    most = 0.0
    for t in range(g.slices):
        most = max(most, s.load[b, t] + s.peak[b, t])
    count = int(np.ceil(most / g.capacity - FULL))
    if s.block_head[b] >= 0:
        count = max(count, 1)
    return int(max(count, g.block_least[b]))


@njit(cache=True, nogil=True)
def set_replicas(g: Land, s: Plan, b: int, count: int) -> None:
    """Let a block have `count` replicas; the servers are the caller's to see to."""
    before = s.replicas[b]
    if count == before:
        return
    change = (count - before) * g.block_quarters[b]
    u = g.block_unit[b]
    own = g.block_slice[b]
    more = max(count - g.block_before[b], 0) - max(before - g.block_before[b], 0)
    for t in range(g.slices):
        if own < 0 or own == t:
            for level in range(g.block_level[b] + 1):
                s.taken[u, level, t] += change
            s.added[t] += more
    usd = (count - before) * g.block_usd[b] + more * g.block_move_usd[b]
    s.site_usd[g.block_site[b]] += usd
    s.money[0] += usd
    s.replicas[b] = count
    choice = g.block_choice[b]
    if choice >= 0:
        s.chooser[choice] = b if count > 0 else -1
    s.version[g.block_site[b]] += 1


@njit(cache=True, nogil=True)
def set_servers(g: Land, s: Plan, o: int, p: int, count: int) -> None:
    """Let `count` servers of an offer at site p stand."""
    change = count - s.servers[o]
    if change == 0:
        return
    s.servers[o] = count
    usd = change * g.offer_usd[o]
    was = s.site_count[p]
    s.site_count[p] += change
    if was == 0:
        usd += g.open_usd[p]
    elif s.site_count[p] == 0:
        usd -= g.open_usd[p]
    s.site_usd[p] += usd
    s.money[0] += usd
    for r in range(s.site_use.shape[1]):
        s.site_use[p, r] += change * g.offer_use[o, r]
    for k in range(g.limit_first[o], g.limit_first[o + 1]):
        row = g.limit_row[k]
        room = g.limit_most[row] - s.used[row]
        s.used[row] += change * g.limit_value[k]
        if min(room, g.limit_most[row] - s.used[row]) < g.limit_near[row]:
            s.number[2] += 1
    s.version[p] += 1


@njit(cache=True, nogil=True)
def offer_room(g: Land, s: Plan, o: int, p: int) -> int:
    """How many of an offer could stand, with `s.left` of the site's resources and what is drawn from the limits."""
    most = g.offer_max[o]
    for r in range(len(s.left)):
        use = g.offer_use[o, r]
        if use > 0.0 and use * most > s.left[r]:
            most = int(max(s.left[r], 0.0) / use + 1e-12)
    for k in range(g.limit_first[o], g.limit_first[o + 1]):
        value, row = g.limit_value[k], g.limit_row[k]
        if value > 0.0 and value * most > g.limit_most[row] - s.used[row]:
            most = int(max(g.limit_most[row] - s.used[row], 0.0) / value + 1e-12)
    return int(max(most, 0))


@njit(cache=True, nogil=True)
def draw(g: Land, s: Plan, o: int, count: int) -> None:
    """Take `count` servers' part of the resources at hand and of the limits."""
    for r in range(len(s.left)):
        s.left[r] -= count * g.offer_use[o, r]
    for k in range(g.limit_first[o], g.limit_first[o + 1]):
        s.used[g.limit_row[k]] += count * g.limit_value[k]


@njit(cache=True, nogil=True)
def lacking(g: Land, s: Plan, quarters: int, upto: int, u: int) -> int:
    """Servers of so many quarters that would fill what `need` lacks with `try_counts` of the offers before."""
    worst = 0
    for level in range(4):
        if quarters < g.sizes[level]:
            break
        short = s.need[level]
        for k in range(upto):
            held = g.offer_quarters[g.offer[g.offer_first[u] + k]]
            if held >= g.sizes[level]:
                short -= held * s.try_counts[k]
        worst = max(worst, short)
    return int((worst + quarters - 1) // quarters)


@njit(cache=True, nogil=True)
def holds(g: Land, s: Plan, upto: int, u: int) -> bool:
    """Whether `try_counts` of the first offers hold what is needed of every size."""
    first = g.offer_first[u]
    for level in range(4):
        there = 0
        for k in range(upto):
            quarters = g.offer_quarters[g.offer[first + k]]
            if quarters >= g.sizes[level]:
                there += quarters * s.try_counts[k]
        if there < s.need[level]:
            return False
    return True


@njit(cache=True, nogil=True)
def fit_servers(g: Land, s: Plan, u: int) -> float:
    """The cheapest servers of unit u that hold `s.need`, in `s.counts`; their USD a month, inf where there are none.

    Depth first, largest servers first, cut off at the best found. The unit's own servers must be drawn back before.
    """
    first = g.offer_first[u]
    number = g.offer_first[u + 1] - first
    s.counts[:number] = 0
    if s.need[0] <= 0:
        return 0.0
    best, cheap = np.inf, np.inf
    for k in range(number):
        o = g.offer[first + k]
        cheap = min(cheap, g.offer_usd[o] / g.offer_quarters[o])
    s.try_counts[:number] = -1
    k, paid, held = 0 if number > 0 else -1, 0.0, 0
    while k >= 0:
        o = g.offer[first + k]
        size = g.offer_quarters[o]
        count = s.try_counts[k]
        if count < 0:
            count = min(lacking(g, s, size, k, u), offer_room(g, s, o, u // g.types))
        else:
            draw(g, s, o, -count)
            paid -= count * g.offer_usd[o]
            held -= count * size
            count -= 1
        s.try_counts[k] = count
        if count < 0:
            k -= 1
            continue
        draw(g, s, o, count)
        paid += count * g.offer_usd[o]
        held += count * size
        if paid + max(s.need[0] - held, 0) * cheap >= best:
            continue
        if holds(g, s, k + 1, u):
            best = paid
            s.counts[:number] = 0
            s.counts[: k + 1] = s.try_counts[: k + 1]
        elif k < number - 1:
            k += 1
            s.try_counts[k] = -1
    return best


@njit(cache=True, nogil=True)
def look_at_unit(g: Land, s: Plan, u: int, sign: int) -> float:
    """Draw the servers of a unit back (-1) or again (+1), with the site's resources in `s.left`; what they cost."""
    p = u // g.types
    usd = 0.0
    if sign < 0:
        for r in range(len(s.left)):
            s.left[r] = g.site_limit[p, r] - s.site_use[p, r]
    for k in range(g.offer_first[u], g.offer_first[u + 1]):
        o = g.offer[k]
        if s.servers[o] > 0:
            draw(g, s, o, sign * s.servers[o])
            usd += s.servers[o] * g.offer_usd[o]
    return usd


@njit(cache=True, nogil=True)
def settle_unit(g: Land, s: Plan, u: int) -> bool:
    """Let a unit have the cheapest servers for what is taken; False (and nothing changed) where there are none."""
    for level in range(4):
        s.need[level] = 0
        for t in range(g.slices):
            s.need[level] = max(s.need[level], s.taken[u, level, t])
    look_at_unit(g, s, u, -1)
    usd = fit_servers(g, s, u)
    look_at_unit(g, s, u, 1)
    if not np.isfinite(usd):
        return False
    p = u // g.types
    first = g.offer_first[u]
    for k in range(g.offer_first[u + 1] - first):
        o = g.offer[first + k]
        if s.counts[k] > s.servers[o]:
            set_servers(g, s, o, p, s.counts[k])
    for k in range(g.offer_first[u + 1] - first):
        set_servers(g, s, g.offer[first + k], p, s.counts[k])
    return True


@njit(cache=True, nogil=True)
def price_one_more(g: Land, s: Plan, b: int) -> float:
    """USD a month of one more replica of a block, and in `cache_gain` the quarters free with it."""
    p = g.block_site[b]
    if s.cache_site[b] == s.version[p] and s.cache_stock[b] == s.number[2]:
        return float(s.cache_usd[b])
    u = g.block_unit[b]
    own = g.block_slice[b]
    for level in range(4):
        s.need[level] = 0
        for t in range(g.slices):
            more = g.block_quarters[b] if level <= g.block_level[b] and (own < 0 or own == t) else 0
            s.need[level] = max(s.need[level], s.taken[u, level, t] + more)
    before = look_at_unit(g, s, u, -1)
    usd = fit_servers(g, s, u)
    look_at_unit(g, s, u, 1)
    held = 0
    first = g.offer_first[u]
    if np.isfinite(usd):
        for k in range(g.offer_first[u + 1] - first):
            held += s.counts[k] * g.offer_quarters[g.offer[first + k]]
        usd -= before
        if s.site_count[p] == 0:
            usd += g.open_usd[p]
        usd += g.block_usd[b]
        if s.replicas[b] >= g.block_before[b]:
            usd += g.block_move_usd[b]
    s.cache_gain[b] = held - s.need[0] + g.block_quarters[b]
    s.cache_usd[b] = usd
    s.cache_site[b] = s.version[p]
    s.cache_stock[b] = s.number[2]
    return float(usd)


@njit(cache=True, nogil=True)
def grow(g: Land, s: Plan, b: int) -> bool:
    """Stand up the replicas that a block's records ask for, and servers; False where there are none to be had."""
    count = needed(g, s, b)
    if count <= s.replicas[b]:
        return True
    if count > g.block_most[b]:
        return False
    before = s.replicas[b]
    set_replicas(g, s, b, count)
    if settle_unit(g, s, g.block_unit[b]):
        return True
    set_replicas(g, s, b, before)
    return False


@njit(cache=True, nogil=True)
def shrink_site(g: Land, s: Plan, p: int) -> None:
    """Take away what the records of a site no longer ask for."""
    for b in range(g.block_first[p], g.block_first[p + 1]):
        if s.replicas[b] > 0:
            count = needed(g, s, b)
            if count < s.replicas[b]:
                set_replicas(g, s, b, count)
    for u in range(p * g.types, (p + 1) * g.types):
        settle_unit(g, s, u)
