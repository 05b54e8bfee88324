"""Ruin and recreate (Schrimpf et al. 2000): rows around some sites are taken out and put in anew, one after another.

What it costs then is the true cost, reserve and all; a dearer plan is kept as simulated annealing has it, else all is
put back.
"""

import numpy as np
from numba import njit

from solvers.chance import below, uniform
from solvers.complete.anneal.choosing import block_of, choose
from solvers.complete.anneal.desk import Desk
from solvers.complete.anneal.insert import busy, insert_row, touch
from solvers.complete.anneal.jobs import insert_jobs, set_job
from solvers.complete.anneal.land import Land
from solvers.complete.anneal.plan import Plan, add_record, drop_row, set_unserved
from solvers.complete.anneal.stand import set_replicas, set_servers, shrink_site
from solvers.problem import Int

MOST_CLOSED = 16
"""Closed sites that a move may buy at, on average at most."""
BUSY_PART = 0.2
"""Of what a quarter GPU costs, that one taken up counts for when a move is judged.

Between one server more and one less lie many moves that cost nothing; those that leave less to carry lead there.
"""


@njit(cache=True, nogil=True)
def cost(s: Plan) -> float:
    return float(s.money[0] + s.money[1] + s.money[2])


@njit(cache=True, nogil=True)
def set_moods(g: Land, s: Plan, d: Desk, usd_per_quarter: float) -> None:
    """How dear each site seems in this move, and how purchases are charged."""
    d.dial[0] = uniform(d.random) ** 2
    d.dial[1] = usd_per_quarter * (0.05 + 0.9 * uniform(d.random))
    spread = 0.8 * uniform(d.random)
    shut = 0
    for p in range(len(d.mood)):
        shut += s.site_count[p] == 0
    closed = uniform(d.random) ** 3 * min(1.0, MOST_CLOSED / max(shut, 1))
    for p in range(len(d.mood)):
        mood = 1.0 + spread * (uniform(d.random) - 0.5)
        if s.site_count[p] == 0 and not d.site_mark[p] and uniform(d.random) > closed:
            mood = np.inf
        d.mood[p] = mood
    if uniform(d.random) < 0.5 and d.number[1] > 0 and s.site_count[d.site[0]] > 0:
        d.mood[d.site[0]] = np.inf if uniform(d.random) < 0.7 else 3.0
    if uniform(d.random) < 0.3 and d.number[0] > 0:
        i = d.row[below(d.random, d.number[0])]
        n = g.pair_first[i] + below(d.random, g.pair_first[i + 1] - g.pair_first[i])
        d.mood[g.block_site[g.pair_block[n]]] = 0.3


@njit(cache=True, nogil=True)
def take_out(g: Land, s: Plan, d: Desk) -> bool:
    """Save and drop the chosen rows and jobs, and what nothing then needs; False where they are too many records."""
    saved = 0
    for at in range(d.number[0]):
        k = s.row_head[d.row[at]]
        while k >= 0:
            if saved >= len(d.saved_row):
                return False
            d.saved_row[saved] = s.record_row[k]
            d.saved_domain[saved] = s.record_domain[k]
            d.saved_pair[saved] = s.record_pair[k]
            d.saved_share[saved] = s.record_share[k]
            saved += 1
            touch(g, s, d, g.block_site[block_of(g, s, k)])
            k = s.record_next[k]
    d.number[2] = saved
    for at in range(d.number[0]):
        i = d.row[at]
        d.saved_unserved[i] = s.unserved[i]
        drop_row(g, s, i)
    for at in range(d.number[8]):
        j = d.job[at]
        d.saved_option[j] = s.option[j]
        touch(g, s, d, g.option_unit[s.option[j]] // g.types)
        set_job(g, s, j, -1)
    for c in range(d.number[3]):
        shrink_site(g, s, d.touched[c])
    return True


@njit(cache=True, nogil=True)
def order_rows(g: Land, d: Desk) -> Int:
    """The order in which the rows that are out come in: mostly the largest first."""
    lot = uniform(d.random)
    for at in range(d.number[0]):
        i = d.row[at]
        noise = uniform(d.random)
        if lot < 0.6:
            d.row_key[at] = -g.size[i] * (0.5 + noise)
        elif lot < 0.75:
            d.row_key[at] = -g.penalty[i] / max(g.size[i], 1e-9) * (0.5 + noise)
        elif lot < 0.9:
            d.row_key[at] = (g.pair_first[i + 1] - g.pair_first[i]) * (0.5 + noise)
        else:
            d.row_key[at] = noise
    return np.argsort(d.row_key[: d.number[0]], kind="mergesort")


@njit(cache=True, nogil=True)
def put_back(g: Land, s: Plan, d: Desk) -> None:
    """Undo a move."""
    for at in range(d.number[0]):
        drop_row(g, s, d.row[at])
    for k in range(d.number[2] - 1, -1, -1):
        add_record(g, s, d.saved_row[k], d.saved_domain[k], d.saved_pair[k], d.saved_share[k])
    for at in range(d.number[0]):
        set_unserved(g, s, d.row[at], d.saved_unserved[d.row[at]])
    for at in range(d.number[8]):
        set_job(g, s, d.job[at], d.saved_option[d.job[at]])
    for c in range(d.number[3]):
        p = d.touched[c]
        for b in range(g.block_first[p], g.block_first[p + 1]):
            if d.saved_replicas[b] < s.replicas[b]:
                set_replicas(g, s, b, d.saved_replicas[b])
        for b in range(g.block_first[p], g.block_first[p + 1]):
            set_replicas(g, s, b, d.saved_replicas[b])
        for k in range(g.offer_first[p * g.types], g.offer_first[(p + 1) * g.types]):
            o = g.offer[k]
            if d.saved_servers[o] > s.servers[o]:
                set_servers(g, s, o, p, d.saved_servers[o])
        for k in range(g.offer_first[p * g.types], g.offer_first[(p + 1) * g.types]):
            set_servers(g, s, g.offer[k], p, d.saved_servers[g.offer[k]])


@njit(cache=True, nogil=True)
def clear(d: Desk) -> None:
    for at in range(d.number[0]):
        d.row_mark[d.row[at]] = False
    for c in range(d.number[1]):
        d.site_mark[d.site[c]] = False
    for c in range(d.number[3]):
        d.touched_mark[d.touched[c]] = False
    for at in range(d.number[8]):
        d.job_mark[d.job[at]] = False
    d.number[0] = d.number[1] = d.number[2] = d.number[3] = d.number[8] = 0


@njit(cache=True, nogil=True)
def allowed(g: Land, s: Plan, paid: float, added: int) -> bool:
    """Whether the budget and the replicas that may be added hold, or are no further off than before."""
    now = s.money[0] + s.money[1]
    if now > g.budget_usd and now > paid:
        return False
    return bool(s.added.max() <= max(g.moves_most, added))


@njit(cache=True, nogil=True)
def carried_more(g: Land, s: Plan, d: Desk) -> float:
    """Quarters taken up at the sites that the move has touched, beyond those before it."""
    more = -d.dial[2]
    for c in range(d.number[3]):
        more += busy(g, s, d.touched[c])
    return float(more)


@njit(cache=True, nogil=True)
def one_move(g: Land, s: Plan, d: Desk, seeds: Int, usd_per_quarter: float, heat: float) -> None:
    """Try one neighbourhood at temperature `heat`."""
    choose(g, s, d, seeds)
    before, paid, added = cost(s), s.money[0] + s.money[1], s.added.max()
    set_moods(g, s, d, usd_per_quarter)
    d.number[5] += 1
    d.dial[2] = 0.0
    if d.number[0] + d.number[8] > 0 and take_out(g, s, d):
        order = order_rows(g, d)
        limit = before - heat * np.log(max(uniform(d.random), 1e-12))
        jobs_first = d.number[8] == 0 or uniform(d.random) < 0.5
        good = not jobs_first or insert_jobs(g, s, d)
        # of what the plan costs now: for rows that are still out, and at most for leaving less to carry
        owed = -BUSY_PART * usd_per_quarter * carried_more(g, s, d)
        for at in range(len(order)):
            owed += g.penalty[d.row[at]]
        for at in range(len(order)):
            if not good or cost(s) - owed > limit:
                break
            insert_row(g, s, d, d.row[order[at]])
            owed -= g.penalty[d.row[order[at]]]
        good = good and (jobs_first or insert_jobs(g, s, d))
        if (
            good
            and cost(s) + BUSY_PART * usd_per_quarter * carried_more(g, s, d) <= limit
            and allowed(g, s, paid, added)
        ):
            d.number[4] += 1
        else:
            put_back(g, s, d)
    clear(d)


@njit(cache=True, nogil=True)
def run_moves(g: Land, s: Plan, d: Desk, moves: int, usd_per_quarter: float, heat: float) -> None:
    """`moves` moves."""
    seeds = np.empty(len(g.open_usd), np.int64)
    for _ in range(0, moves, 16):
        number = 0
        for p in range(len(seeds)):
            if s.site_count[p] > 0:
                seeds[number] = p
                number += 1
        for _ in range(16):
            one_move(g, s, d, seeds[:number], usd_per_quarter, heat)
