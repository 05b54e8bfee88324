"""Plans going in and out of the annealing's records, and the first plan of all."""

import numpy as np
from numba import njit

from solvers.complete.anneal.desk import Desk
from solvers.complete.anneal.insert import back_up, insert_row, look_around
from solvers.complete.anneal.jobs import set_job
from solvers.complete.anneal.land import Land
from solvers.complete.anneal.moves import clear
from solvers.complete.anneal.plan import TINY, Plan, add_record, drop_row, set_unserved
from solvers.complete.anneal.stand import set_replicas, set_servers, settle_unit, shrink_site
from solvers.problem import Float, Int


@njit(cache=True, nogil=True)
def calm(d: Desk, usd_per_quarter: float) -> None:
    """No moods: every site as dear as it is."""
    d.mood[:] = 1.0
    d.dial[0] = 0.2
    d.dial[1] = 0.3 * usd_per_quarter


@njit(cache=True, nogil=True)
def open_units(g: Land, s: Plan, option: Int) -> bool:
    """Let jobs run by their options, and buy what they and pins need; False where it is not to be had."""
    good = True
    for j in range(len(option)):
        set_job(g, s, j, option[j])
    for b in range(len(g.block_site)):
        if g.block_least[b] > 0:
            set_replicas(g, s, b, g.block_least[b])
    for u in range(g.units):
        good = good and settle_unit(g, s, u)
    return good


@njit(cache=True, nogil=True)
def load_records(
    g: Land, s: Plan, row: Int, domain: Int, pair: Int, share: Float, replicas: Int, servers: Int, option: Int
) -> None:
    """Enter a plan as it stands."""
    for j in range(len(option)):
        set_job(g, s, j, option[j])
    for b in range(len(replicas)):
        set_replicas(g, s, b, replicas[b])
    for k in range(len(g.offer)):
        o = g.offer[k]
        set_servers(g, s, o, offer_site(g, k), servers[o])
    for k in range(len(row)):
        add_record(g, s, row[k], domain[k], pair[k], share[k])
        if domain[k] < 0:
            left = s.unserved[row[k]] - share[k]
            set_unserved(g, s, row[k], left if left > 1e-9 else 0.0)


@njit(cache=True, nogil=True)
def offer_site(g: Land, k: int) -> int:
    """The site of the offer at position k."""
    return int((np.searchsorted(g.offer_first, k, side="right") - 1) // g.types)


@njit(cache=True, nogil=True)
def back_all_up(g: Land, s: Plan, d: Desk, rows: Int, usd_per_quarter: float) -> None:
    """Give every primary of the rows its backups, in this order; a row that finds none is put in anew."""
    calm(d, usd_per_quarter)
    failed = np.zeros(len(rows), np.bool_)
    for at in range(len(rows)):
        i = rows[at]
        look_around(g, s, d, i)
        k = s.row_head[i]
        while k >= 0:
            p = g.block_site[g.pair_block[s.record_pair[k]]] if s.record_domain[k] < 0 else -1
            if p >= 0 and back_up(g, s, d, i, p, s.record_share[k]) < s.record_share[k] - TINY:
                failed[at] = True
                break
            k = s.record_next[k]
        if failed[at]:
            drop_row(g, s, i)
    for at in range(len(rows)):
        if failed[at]:
            insert_row(g, s, d, rows[at])
    for c in range(d.number[3]):
        shrink_site(g, s, d.touched[c])
    clear(d)


@njit(cache=True, nogil=True)
def insert_all(g: Land, s: Plan, d: Desk, rows: Int, usd_per_quarter: float) -> None:
    """Put rows in, in this order."""
    calm(d, usd_per_quarter)
    for at in range(len(rows)):
        insert_row(g, s, d, rows[at])
    clear(d)


@njit(cache=True, nogil=True)
def count_records(s: Plan) -> int:
    number = 0
    for i in range(len(s.row_head)):
        k = s.row_head[i]
        while k >= 0:
            number += 1
            k = s.record_next[k]
    return number


@njit(cache=True, nogil=True)
def write_records(s: Plan, row: Int, domain: Int, pair: Int, share: Float) -> None:
    at = 0
    for i in range(len(s.row_head)):
        k = s.row_head[i]
        while k >= 0:
            row[at], domain[at], pair[at], share[at] = i, s.record_domain[k], s.record_pair[k], s.record_share[k]
            at += 1
            k = s.record_next[k]
