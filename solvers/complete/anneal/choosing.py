"""Which rows and jobs a move takes out: those around an open site, along shared demand, or around what is left."""

from numba import njit

from solvers.chance import below, uniform
from solvers.complete.anneal.desk import MOST_ROWS, MOST_SITES, Desk
from solvers.complete.anneal.land import Land
from solvers.complete.anneal.plan import Plan
from solvers.problem import Int

ONE_MODEL = 0.8
"""Of the moves, that take out rows of one model only."""
LEFT_PART = 0.1
"""Of the moves, that begin with demand that is not served."""
STOCK_PART = 0.3
"""Of the moves, that take from a site that holds what is out of stock."""
JOB_PART = 0.1
"""Of the moves, that begin with a job, where there are any."""
JOBS_ALONG = 0.3
"""Of the jobs at a chosen site, that are taken out with its rows."""


@njit(cache=True, nogil=True)
def block_of(g: Land, s: Plan, k: int) -> int:
    """The block of a record."""
    pair = s.record_pair[k]
    return int(g.pair_block[pair] if s.record_domain[k] < 0 else g.backup_block[pair])


@njit(cache=True, nogil=True)
def choose_site(d: Desk, p: int) -> None:
    if not d.site_mark[p] and d.number[1] < MOST_SITES:
        d.site_mark[p] = True
        d.site[d.number[1]] = p
        d.number[1] += 1


@njit(cache=True, nogil=True)
def choose_row(d: Desk, i: int) -> None:
    if not d.row_mark[i] and d.number[0] < MOST_ROWS:
        d.row_mark[i] = True
        d.row[d.number[0]] = i
        d.number[0] += 1


@njit(cache=True, nogil=True)
def choose_job(d: Desk, j: int) -> None:
    if not d.job_mark[j]:
        d.job_mark[j] = True
        d.job[d.number[8]] = j
        d.number[8] += 1


@njit(cache=True, nogil=True)
def begin_with_job(g: Land, s: Plan, d: Desk) -> None:
    """Choose a job with its site, and mostly a site where it could run instead."""
    j = below(d.random, len(s.option))
    if s.option[j] < 0:
        return
    choose_job(d, j)
    choose_site(d, g.option_unit[s.option[j]] // g.types)
    if uniform(d.random) < 0.7:
        a = g.job_first[j] + below(d.random, g.job_first[j + 1] - g.job_first[j])
        choose_site(d, g.option_unit[a] // g.types)


@njit(cache=True, nogil=True)
def jobs_along(g: Land, s: Plan, d: Desk) -> None:
    """Choose some of the jobs that run at the chosen sites."""
    for j in range(len(s.option)):
        a = s.option[j]
        if a >= 0 and d.site_mark[g.option_unit[a] // g.types] and uniform(d.random) < JOBS_ALONG:
            choose_job(d, j)


@njit(cache=True, nogil=True)
def rows_of_site(g: Land, s: Plan, d: Desk, p: int, model: int, part: float) -> None:
    """Choose the rows that a site serves or backs up: those of one model (-1: all), each with a chance."""
    for b in range(g.block_first[p], g.block_first[p + 1]):
        k = s.block_head[b]
        while k >= 0:
            i = s.record_row[k]
            if (model < 0 or g.row_model[i] == model) and (part >= 1.0 or uniform(d.random) < part):
                choose_row(d, i)
            k = s.record_down[k]


@njit(cache=True, nogil=True)
def random_record(g: Land, s: Plan, d: Desk, p: int) -> int:
    """A record of a site, -1 where there is none."""
    first, last = g.block_first[p], g.block_first[p + 1]
    found = -1
    number = 0
    for b in range(first, last):
        if s.block_head[b] >= 0:
            number += 1
            if below(d.random, number) == 0:
                found = b
    if found < 0:
        return -1
    k = s.block_head[found]
    steps = below(d.random, 24)
    while steps > 0 and s.record_down[k] >= 0:
        k = s.record_down[k]
        steps -= 1
    return int(k)


@njit(cache=True, nogil=True)
def open_neighbour(g: Land, s: Plan, d: Desk, p: int) -> int:
    """An open site that serves, or could serve, a row of site p; p where none is found."""
    for _ in range(8):
        k = random_record(g, s, d, p)
        if k < 0:
            return p
        i = s.record_row[k]
        if uniform(d.random) < 0.5:
            j = s.row_head[i]
            steps = below(d.random, 4)
            while steps > 0 and s.record_next[j] >= 0:
                j = s.record_next[j]
                steps -= 1
            q = g.block_site[block_of(g, s, j)]
        else:
            n = g.pair_first[i] + below(d.random, g.pair_first[i + 1] - g.pair_first[i])
            q = g.block_site[g.pair_block[n]]
        if q != p and s.site_count[q] > 0:
            return int(q)
    return p


@njit(cache=True, nogil=True)
def rows_left(g: Land, s: Plan, d: Desk, model: int) -> None:
    """Choose rows that are not served whole and that a chosen site could serve."""
    for i in range(len(s.unserved)):
        if s.unserved[i] > 0.0 and (model < 0 or g.row_model[i] == model):
            for n in range(g.pair_first[i], g.pair_first[i + 1]):
                if d.site_mark[g.block_site[g.pair_block[n]]]:
                    choose_row(d, i)
                    break


@njit(cache=True, nogil=True)
def choose_site_for_left(g: Land, s: Plan, d: Desk) -> None:
    """Choose a site that could serve one of the rows that are not served whole, if there are any."""
    found, number = -1, 0
    for i in range(len(s.unserved)):
        if s.unserved[i] > 0.0 and g.pair_first[i] < g.pair_first[i + 1]:
            number += 1
            if below(d.random, number) == 0:
                found = i
    if found >= 0:
        n = g.pair_first[found] + below(d.random, g.pair_first[found + 1] - g.pair_first[found])
        choose_site(d, g.block_site[g.pair_block[n]])


@njit(cache=True, nogil=True)
def short(g: Land, s: Plan, p: int) -> bool:
    """Whether a site holds servers that draw on a limit that has no room for another."""
    for k in range(g.offer_first[p * g.types], g.offer_first[(p + 1) * g.types]):
        o = g.offer[k]
        if s.servers[o] > 0:
            for m in range(g.limit_first[o], g.limit_first[o + 1]):
                row = g.limit_row[m]
                if g.limit_most[row] - s.used[row] < g.limit_value[m]:
                    return True
    return False


@njit(cache=True, nogil=True)
def choose_short_site(g: Land, s: Plan, d: Desk, seeds: Int) -> None:
    """Choose an open site, wherever it is, whose servers others may lack."""
    for _ in range(4):
        p = seeds[below(d.random, len(seeds))]
        if short(g, s, p):
            choose_site(d, p)
            return


@njit(cache=True, nogil=True)
def open_site_for(g: Land, s: Plan, d: Desk, i: int) -> int:
    """An open site that could serve a row, -1 where none is met."""
    for _ in range(8):
        n = g.pair_first[i] + below(d.random, g.pair_first[i + 1] - g.pair_first[i])
        p = g.block_site[g.pair_block[n]]
        if s.site_count[p] > 0:
            return int(p)
    return -1


@njit(cache=True, nogil=True)
def choose(g: Land, s: Plan, d: Desk, seeds: Int) -> None:
    """Choose rows to take out: around an open site, or around any that could serve what is left."""
    if len(s.option) > 0 and uniform(d.random) < JOB_PART:
        begin_with_job(g, s, d)
    elif len(seeds) == 0 or uniform(d.random) < LEFT_PART:
        choose_site_for_left(g, s, d)
    if d.number[1] == 0 and len(seeds) > 0:
        choose_site(d, seeds[below(d.random, len(seeds))])
    if d.number[1] == 0:
        return
    p = d.site[0]
    lot = uniform(d.random)
    if s.site_count[p] == 0:
        rows_left(g, s, d, -1)
        p = open_site_for(g, s, d, d.row[below(d.random, d.number[0])]) if d.number[0] > 0 else -1
        if p < 0:
            return
        choose_site(d, p)
    k = random_record(g, s, d, p)
    if k < 0 and d.number[1] > 1:
        k = random_record(g, s, d, d.site[1])
    jobs_along(g, s, d)
    if k < 0:
        return
    if uniform(d.random) < STOCK_PART and len(seeds) > 0:
        choose_short_site(g, s, d, seeds)
    model = g.row_model[s.record_row[k]] if uniform(d.random) < ONE_MODEL else -1
    wanted = 1 + int(4 * uniform(d.random) ** 2)
    if model >= 0:
        wanted = 1 + int(5 * uniform(d.random) ** 2)
    while wanted > 1:
        choose_site(d, open_neighbour(g, s, d, d.site[below(d.random, d.number[1])]))
        wanted -= 1
    part = 1.0 if lot < 0.7 else 0.2 + 0.6 * uniform(d.random)
    for c in range(d.number[1]):
        rows_of_site(g, s, d, d.site[c], model, part if c > 0 else 1.0)
    rows_left(g, s, d, model)
