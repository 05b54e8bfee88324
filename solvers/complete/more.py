"""Demand that was given up is served where there is room for it, and for its backup, after all."""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from solvers.complete.draft import Draft
from solvers.complete.reserve import NOTHING, give_up
from solvers.complete.survival import Survival

Float = NDArray[np.float64]
Int = NDArray[np.int64]

PASSES = 4


def serve_more(draft: Draft, survival: Survival) -> bool:
    """Serve unserved rows on room that no domain needs, as far as every domain may still fail; whether it pays."""
    problem = draft.problem
    before = (draft.share.copy(), draft.unserved.copy(), list(survival.backups))
    usd = _usd(draft)
    room = np.maximum(survival.room.load - survival.most_load(), 0.0)
    up, down = survival.free_links()
    rows = np.flatnonzero(draft.unserved > NOTHING)
    rows = rows[np.lexsort((rows, -np.minimum(problem.unserved_usd[rows], 1e12)))]
    served = _serve(
        rows, draft.pair_first, problem.pair_block, problem.pair_load, problem.pair_usd, problem.unserved_usd,
        problem.block_site, problem.demand_slice, problem.out_mbps, problem.in_mbps, draft.replicas, room, up, down,
        draft.share, draft.unserved,
    )  # fmt: skip
    if served > NOTHING and _settled(draft, survival) and _usd(draft) < usd:
        return True
    draft.share[:], draft.unserved[:] = before[0], before[1]
    survival.renew()
    survival.backups = before[2]
    return False


def _usd(draft: Draft) -> float:
    """What routes and unserved rows cost; rows that must be served at a price beyond all others."""
    problem = draft.problem
    return float(problem.pair_usd @ draft.share + np.minimum(problem.unserved_usd, 1e12) @ draft.unserved)


def _settled(draft: Draft, survival: Survival) -> bool:
    """Give up again what has no backup; whether every domain may fail in the end."""
    for _ in range(PASSES):
        survival.renew()
        good = True
        for domain in range(survival.reserve.domains):
            if survival.fail(domain) > NOTHING:
                survival.fail_dearest_first(domain)
                if give_up(draft, survival, domain):
                    return False
                survival.renew()
                good = False
            survival.keep(domain)
        if good:
            return True
    return False


@njit(cache=True, nogil=True)
def _serve(
    rows: Int, first: Int, pair_block: Int, pair_load: Float, pair_usd: Float, unserved_usd: Float, block_site: Int,
    demand_slice: Int, out_mbps: Float, in_mbps: Float, replicas: Int, room: Float, up: Float, down: Float,
    share: Float, unserved: Float,
) -> float:  # fmt: skip
    """Serve each row on its cheapest pairs that have room; the share served."""
    total = 0.0
    for at in range(len(rows)):
        i = rows[at]
        t = demand_slice[i]
        while unserved[i] > 0.0:
            best, chosen, most = unserved_usd[i], -1, 0.0
            for n in range(first[i], first[i + 1]):
                b = pair_block[n]
                if replicas[b] == 0 or pair_usd[n] >= best:
                    continue
                p = block_site[b]
                can = unserved[i]
                if pair_load[n] > 0.0:
                    can = min(can, room[b, t] / pair_load[n])
                if out_mbps[i] > 0.0:
                    can = min(can, up[p, t] / out_mbps[i])
                if in_mbps[i] > 0.0:
                    can = min(can, down[p, t] / in_mbps[i])
                if can > 1e-9:
                    best, chosen, most = pair_usd[n], n, can
            if chosen < 0:
                break
            b = pair_block[chosen]
            p = block_site[b]
            share[chosen] += most
            unserved[i] = max(unserved[i] - most, 0.0)
            room[b, t] -= most * pair_load[chosen]
            up[p, t] -= most * out_mbps[i]
            down[p, t] -= most * in_mbps[i]
            total += most
    return total
