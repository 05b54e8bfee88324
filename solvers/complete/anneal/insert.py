"""One row into the plan: where it is served, in what parts, and who takes each part over when its site fails.

A part goes where it costs least: its route, the room it takes up at a price per quarter GPU, and, where a replica has
to be bought for it, a part of what that costs, as more rows may follow. With a part goes the cheapest backup outside
of every domain that it fails with.
"""

import numpy as np
from numba import njit

from solvers.complete.anneal.desk import Desk
from solvers.complete.anneal.land import Land
from solvers.complete.anneal.plan import TINY, Plan, add_record, drop_row, node_load, set_unserved
from solvers.complete.anneal.stand import grow, price_one_more

LEAST = 0.02
"""Share below which no part of a row is cut off, unless it is all of the rest."""
SPARE_RECORDS = 8
"""Free records below which nothing more is put in."""
TRIES = 6
"""Primaries for which a backup is looked for."""


@njit(cache=True, nogil=True)
def busy(g: Land, s: Plan, p: int) -> float:
    """Quarters of a site that are taken up by loads, the busiest slice of every block."""
    total = 0.0
    for b in range(g.block_first[p], g.block_first[p + 1]):
        if s.replicas[b] > 0:
            most = 0.0
            for t in range(g.slices):
                most = max(most, s.load[b, t] + s.peak[b, t])
            total += most * g.block_quarters[b]
    return total


@njit(cache=True, nogil=True)
def touch(g: Land, s: Plan, d: Desk, p: int) -> None:
    """Keep what stands at a site before its first change in this move."""
    if d.touched_mark[p]:
        return
    d.touched_mark[p] = True
    d.dial[2] += busy(g, s, p)
    d.touched[d.number[3]] = p
    d.number[3] += 1
    for b in range(g.block_first[p], g.block_first[p + 1]):
        d.saved_replicas[b] = s.replicas[b]
    for k in range(g.offer_first[p * g.types], g.offer_first[(p + 1) * g.types]):
        d.saved_servers[g.offer[k]] = s.servers[g.offer[k]]


@njit(cache=True, nogil=True)
def link_share(g: Land, s: Plan, i: int, p: int, domain: int) -> float:
    """The share of row i that the links of a site can take: with every domain (-1), or with one."""
    if not g.tight[p]:
        return 1.0
    t = g.row_slice[i]
    link = (len(g.block_site) + p) * g.slices + t
    out, into = 0.0, 0.0
    k = s.node_head[link]
    while k >= 0:
        if domain < 0:
            out, into = max(out, s.node_load[k]), max(into, s.node_in[k])
        elif s.node_domain[k] == domain:
            out, into = s.node_load[k], s.node_in[k]
        k = s.node_next[k]
    most = 1.0
    if g.out_mbps[i] > 0.0:
        most = min(most, (g.uplink[p] - s.sent[p, t] - out) / g.out_mbps[i])
    if g.in_mbps[i] > 0.0:
        most = min(most, (g.downlink[p] - s.received[p, t] - into) / g.in_mbps[i])
    return max(most, 0.0)


@njit(cache=True, nogil=True)
def weigh(g: Land, s: Plan, d: Desk, i: int, b: int, a: float, domain: int, rest: float) -> tuple[float, float]:
    """The share (of `rest` of row i) that block b could take for a domain (-1: as a primary), and its USD by share."""
    p = g.block_site[b]
    mood = d.mood[p]
    choice = g.block_choice[b]
    if np.isinf(mood) or (choice >= 0 and s.chooser[choice] >= 0 and s.chooser[choice] != b):
        return 0.0, 0.0
    t = g.row_slice[i]
    peak = s.peak[b, t]
    held = peak if domain < 0 else node_load(s, b * g.slices + t, domain)
    free = g.capacity * s.replicas[b] - s.load[b, t] - held
    share = min(rest, link_share(g, s, i, p, domain))
    if share < min(rest, LEAST):
        return 0.0, 0.0
    usd = 0.0
    if s.replicas[b] == 0 or a * share > free + TINY:
        part = free / a if s.replicas[b] > 0 and a > 0.0 else 0.0
        if part >= LEAST:
            share = part
        else:
            if s.replicas[b] >= g.block_most[b]:
                return 0.0, 0.0
            price = price_one_more(g, s, b)
            if np.isinf(price) or s.money[0] + s.money[1] + price > g.budget_usd:
                return 0.0, 0.0
            room = max(free, 0.0) + g.capacity
            if a * share > room:
                share = room / a
            size = g.block_quarters[b]
            filled = size * min(max(a * share - max(free, 0.0), 0.0) / g.capacity, 1.0)
            gain = max(s.cache_gain[b], size)
            charged = d.dial[0] + (1.0 - d.dial[0]) * min(filled / gain, 1.0)
            usd += max(price, 0.0) * charged * mood
    more = a * share if domain < 0 else max(held + a * share - peak, 0.0)
    usd += d.dial[1] * g.block_quarters[b] * more
    return share, usd / share


@njit(cache=True, nogil=True)
def look_around(g: Land, s: Plan, d: Desk, i: int) -> None:
    """List the pairs of row i that may be chosen in this move: what a row asks for many times.

    Where a block has no replicas yet it is the best one of the site for this row, if its choice is still free.
    """
    number = 0
    for k in range(g.near_first[i], g.near_first[i + 1]):
        if not np.isinf(d.mood[g.near_site[k]]):
            for n in range(g.near_pair[k], g.near_pair[k + 1]):
                if s.replicas[g.pair_block[n]] > 0 or (not g.near_worse[n] and may_begin(g, s, g.pair_block[n])):
                    d.live[number] = n
                    number += 1
    d.number[6] = number
    d.backup_share[0] = -1.0
    number = 0
    for k in range(g.spare_first[i], g.spare_first[i + 1]):
        if not np.isinf(d.mood[g.spare_site[k]]):
            for z in range(g.spare_pair[k], g.spare_pair[k + 1]):
                if s.replicas[g.backup_block[z]] > 0 or (not g.spare_worse[z] and may_begin(g, s, g.backup_block[z])):
                    d.live_backup[number] = z
                    number += 1
    d.number[7] = number


@njit(cache=True, nogil=True)
def may_begin(g: Land, s: Plan, b: int) -> bool:
    """Whether a block without replicas may have some."""
    choice = g.block_choice[b]
    return bool(g.block_most[b] > 0 and (choice < 0 or s.chooser[choice] < 0))


@njit(cache=True, nogil=True)
def backed_outside(g: Land, i: int, domain: int) -> bool:
    """Whether anything outside of a domain could back row i up."""
    for z in range(g.backup_first[i], g.backup_first[i + 1]):
        if not g.inside[domain, g.block_site[g.backup_block[z]]]:
            return True
    return False


@njit(cache=True, nogil=True)
def least_backup(g: Land, s: Plan, d: Desk, i: int, rest: float) -> int:
    """Work out what `rest` of row i would cost at least on every backup pair at hand; the cheapest, -1 without any.

    Kept until the plan changes or the share does: what a domain puts on a block is between nothing and its peak.
    """
    if d.backup_share[0] == rest:
        return int(d.least[0])
    t = g.row_slice[i]
    best, chosen = np.inf, -1
    for c in range(d.number[7]):
        z = d.live_backup[c]
        b = g.backup_block[z]
        usd = backup_least(g, s, d, b, t, g.backup_load[z], rest)
        d.backup_usd[c] = usd
        if usd < best:
            best, chosen = usd, c
    d.backup_share[0] = rest
    d.least[0] = chosen
    return chosen


@njit(cache=True, nogil=True)
def backup_least(g: Land, s: Plan, d: Desk, b: int, t: int, a: float, rest: float) -> float:
    """The least USD by share that `weigh` could find for a block and `rest` of a row, whatever the domain."""
    choice = g.block_choice[b]
    if choice >= 0 and s.chooser[choice] >= 0 and s.chooser[choice] != b:
        return np.inf
    free = g.capacity * s.replicas[b] - s.load[b, t]
    peak = s.peak[b, t]
    whole = a * rest
    if s.replicas[b] > 0 and (whole <= free + TINY or free >= LEAST * a):
        if g.tight[g.block_site[b]] or whole > free - peak:
            return 0.0  # a part of it may fit for nothing
        return float(d.dial[1] * g.block_quarters[b] * max(whole - peak, 0.0) / rest)
    if s.replicas[b] >= g.block_most[b]:
        return np.inf
    price = price_one_more(g, s, b)
    if np.isinf(price) or s.money[0] + s.money[1] + price > g.budget_usd:
        return np.inf
    return float(max(price, 0.0) * d.dial[0] * d.mood[g.block_site[b]] / rest)


@njit(cache=True, nogil=True)
def best_backup(g: Land, s: Plan, d: Desk, i: int, domain: int, rest: float) -> tuple[int, float, float, bool]:
    """The backup pair for (a part of) `rest` of row i when a domain fails: pair (-1: none), share, USD by share.

    The last says whether anything outside of the domain could back the row up at all; where nothing could, nobody must.
    """
    best, chosen, part = np.inf, -1, 0.0
    first = least_backup(g, s, d, i, rest)
    for c in range(-1, d.number[7]):
        at = first if c < 0 else c
        if at < 0 or d.backup_usd[at] >= best:
            continue
        z = d.live_backup[at]
        b = g.backup_block[z]
        if g.inside[domain, g.block_site[b]]:
            continue
        share, usd = weigh(g, s, d, i, b, g.backup_load[z], domain, rest)
        if share > 0.0 and usd < best:
            best, chosen, part = usd, z, share
            if best <= 0.0:
                break
    return chosen, part, best, chosen >= 0 or not g.losable[i] or backed_outside(g, i, domain)


@njit(cache=True, nogil=True)
def backups_usd(g: Land, s: Plan, d: Desk, i: int, p: int, share: float, most: float) -> float:
    """What backing up a share of row i at site p would cost by share; inf where it cannot be or is `most` or more."""
    usd = 0.0
    for k in range(g.domain_first[p], g.domain_first[p + 1]):
        chosen, _, price, able = best_backup(g, s, d, i, g.domain[k], share)
        if able:
            if chosen < 0:
                return np.inf
            usd += price
            if usd >= most:
                return np.inf
    return usd


@njit(cache=True, nogil=True)
def stand_up(g: Land, s: Plan, d: Desk, i: int, domain: int, pair: int, b: int, share: float) -> bool:
    """Enter a record of row i on block b with the replicas it asks for; False where there are none to be had."""
    new, stock = s.replicas[b] == 0, s.number[2]
    add_record(g, s, i, domain, pair, share)
    if not grow(g, s, b):
        d.backup_share[0] = -1.0
        return False
    if new:
        look_around(g, s, d, i)
    elif domain >= 0 or stock != s.number[2] or not np.isinf(g.budget_usd):
        d.backup_share[0] = -1.0  # else what has changed fails with the primary
    return True


@njit(cache=True, nogil=True)
def back_up(g: Land, s: Plan, d: Desk, i: int, p: int, share: float) -> float:
    """Back a share of row i at site p up for every domain that the site fails with; how much of it all could take."""
    least = share
    for k in range(g.domain_first[p], g.domain_first[p + 1]):
        e = g.domain[k]
        rest = share
        while rest > TINY:
            z, part, _, able = best_backup(g, s, d, i, e, rest)
            if not able:
                rest = 0.0
                break
            if z < 0 or s.number[0] < SPARE_RECORDS:
                break
            if part > rest - TINY:
                part = rest
            b = g.backup_block[z]
            touch(g, s, d, g.block_site[b])
            if not stand_up(g, s, d, i, e, z, b, part):
                return 0.0
            rest -= part
        least = min(least, share - rest)
    return least


@njit(cache=True, nogil=True)
def best_primary(g: Land, s: Plan, d: Desk, i: int, rest: float) -> tuple[int, float]:
    """The pair to serve (a part of) `rest` of row i by, with its backups; -1 where leaving it unserved costs less."""
    number = 0
    for c in range(d.number[6]):
        n = d.live[c]
        share, usd = weigh(g, s, d, i, g.pair_block[n], g.pair_load[n], -1, rest)
        if share > 0.0:
            d.candidate_pair[number] = n
            d.candidate_share[number] = share
            d.candidate_usd[number] = usd + g.pair_usd[n]
            number += 1
    best, chosen, part = g.penalty[i], -1, 0.0
    for _ in range(TRIES):
        at = -1
        least = best
        for k in range(number):
            if d.candidate_usd[k] < least:
                least, at = d.candidate_usd[k], k
        if at < 0:
            break
        n = d.candidate_pair[at]
        d.candidate_usd[at] = np.inf
        p = g.block_site[g.pair_block[n]]
        if g.domain_first[p] < g.domain_first[p + 1]:
            least += backups_usd(g, s, d, i, p, d.candidate_share[at], best - least)
        if least < best:
            best, chosen, part = least, n, d.candidate_share[at]
    return chosen, part


@njit(cache=True, nogil=True)
def insert_part(g: Land, s: Plan, d: Desk, i: int, most: float) -> float:
    """Serve up to `most` of a row that is out, part by part; how much may be served: less without backup or budget.

    Where it is less than what was served the row has to be put in again.
    """
    rest = most
    while rest > 0.0 and s.number[0] > SPARE_RECORDS:
        paid = s.money[0] + s.money[1]
        n, part = best_primary(g, s, d, i, rest)
        if n < 0:
            break
        if part > rest - 1e-9:
            part = rest
        b = g.pair_block[n]
        p = g.block_site[b]
        touch(g, s, d, p)
        if not stand_up(g, s, d, i, -1, n, b, part):
            return most - rest
        backed = back_up(g, s, d, i, p, part)
        d.backup_share[0] = -1.0
        over = s.money[0] + s.money[1] - g.budget_usd
        if over > 0.0 and paid <= g.budget_usd:
            backed = min(backed, max(part - over / max(g.pair_usd[n], TINY), 0.0))
        if backed < part - TINY:
            return most - rest + backed
        rest -= part
    set_unserved(g, s, i, 1.0 - most + rest)
    return most


@njit(cache=True, nogil=True)
def insert_row(g: Land, s: Plan, d: Desk, i: int) -> None:
    """Serve a row that is out; what costs more than it is worth, or finds no backup, stays unserved."""
    most = 1.0
    look_around(g, s, d, i)
    for _ in range(3):
        served = insert_part(g, s, d, i, most)
        if served >= most:
            return
        drop_row(g, s, i)
        d.backup_share[0] = -1.0
        most = served * (1.0 - 1e-9)
        if most < LEAST:
            return
