"""(15) A job into the plan: by the option that costs least with what stands."""

import numpy as np
from numba import njit

from solvers.complete.anneal.desk import Desk
from solvers.complete.anneal.insert import touch
from solvers.complete.anneal.land import Land
from solvers.complete.anneal.plan import Plan
from solvers.complete.anneal.stand import fit_servers, look_at_unit, settle_unit


@njit(cache=True, nogil=True)
def count_gang(g: Land, s: Plan, a: int, sign: int) -> None:
    """Enter the gang of an option in the accounts, or take it out."""
    u = g.option_unit[a]
    for t in range(g.slices):
        if g.option_runs[a, t]:
            for level in range(g.option_levels[a]):
                s.taken[u, level, t] += sign * g.option_quarters[a]
    s.money[1] += sign * g.option_usd[a]
    s.version[u // g.types] += 1


@njit(cache=True, nogil=True)
def set_job(g: Land, s: Plan, j: int, a: int) -> None:
    """Let a job run by option a (-1: not at all); the servers are the caller's to see to."""
    if s.option[j] >= 0:
        count_gang(g, s, s.option[j], -1)
    if a >= 0:
        count_gang(g, s, a, 1)
    s.option[j] = a


@njit(cache=True, nogil=True)
def price_gang(g: Land, s: Plan, a: int) -> tuple[float, int]:
    """USD a month of servers for the gang of an option, inf where there are none; quarters more that are then taken."""
    u = g.option_unit[a]
    taken = 0
    for level in range(4):
        s.need[level] = 0
        for t in range(g.slices):
            more = g.option_quarters[a] if level < g.option_levels[a] and g.option_runs[a, t] else 0
            s.need[level] = max(s.need[level], s.taken[u, level, t] + more)
    for t in range(g.slices):
        taken = max(taken, s.taken[u, 0, t])
    more = s.need[0] - taken
    if held_enough(g, s, u):
        return 0.0, more
    before = look_at_unit(g, s, u, -1)
    usd = fit_servers(g, s, u)
    look_at_unit(g, s, u, 1)
    if not np.isfinite(usd):
        return np.inf, more
    p = u // g.types
    return usd - before + (g.open_usd[p] if s.site_count[p] == 0 else 0.0), more


@njit(cache=True, nogil=True)
def held_enough(g: Land, s: Plan, u: int) -> bool:
    """Whether the servers of a unit hold `s.need`."""
    for level in range(4):
        held = 0
        for k in range(g.offer_first[u], g.offer_first[u + 1]):
            o = g.offer[k]
            if g.offer_quarters[o] >= g.sizes[level]:
                held += g.offer_quarters[o] * s.servers[o]
        if held < s.need[level]:
            return False
    return True


@njit(cache=True, nogil=True)
def insert_jobs(g: Land, s: Plan, d: Desk) -> bool:
    """Let all jobs that were taken out run again, at sites that are not barred; False where one cannot."""
    good = True
    for at in range(d.number[8]):
        good = good and insert_job(g, s, d, d.job[at])
    return good


@njit(cache=True, nogil=True)
def insert_job(g: Land, s: Plan, d: Desk, j: int) -> bool:
    """Let a job run where its price, servers by the moods of the sites and room by the dial, is least."""
    best, chosen = np.inf, -1
    for a in range(g.job_first[j], g.job_first[j + 1]):
        mood = d.mood[g.option_unit[a] // g.types]
        if np.isinf(mood) or g.option_usd[a] >= best:
            continue
        usd, more = price_gang(g, s, a)
        if np.isinf(usd) or s.money[0] + s.money[1] + usd > g.budget_usd:
            continue
        usd = g.option_usd[a] + usd * mood + d.dial[1] * more
        if usd < best:
            best, chosen = usd, a
    if chosen < 0:
        return False
    u = g.option_unit[chosen]
    touch(g, s, d, u // g.types)
    set_job(g, s, j, chosen)
    return settle_unit(g, s, u)
