"""The cheapest servers to add for what a unit lacks, and those to give back that it does not need."""

import numpy as np

from solvers.complete.draft import SIZES, Draft
from solvers.problem import Int

Counts = tuple[tuple[int, int], ...]
"""(offer, servers) pairs."""


def cheapest(draft: Draft, unit: int, lack: Int) -> tuple[float, Counts]:
    """The least USD a month, and the servers, that hold `lack` quarters more by size (4); inf where none can.

    Offers are tried by depth first, cheapest per GPU first, cut off at the best found; opening the site is in the cost.
    The limit rows count every offer by itself, so a pick of several that share a row is tried before it is returned.
    """
    lack = np.maximum(lack, 0)
    if not lack.any():
        return 0.0, ()
    problem = draft.problem
    offers = [int(o) for o in draft.site_offers(unit) if draft.offer_quarters[o] > 0]
    room = {o: draft.can_buy(o) for o in offers}
    usd = {o: float(problem.offer_usd[o]) for o in offers}
    offers = sorted((o for o in offers if room[o]), key=lambda o: (usd[o] / draft.offer_quarters[o], o))
    site = unit // draft.types
    opening = 0.0 if draft.count[site] else float(problem.open_usd[site])
    best: tuple[float, Counts] = (np.inf, ())
    picked: list[tuple[int, int]] = []

    def search(at: int, left: Int, paid: float) -> None:
        nonlocal best
        if paid >= best[0]:
            return
        if not (left > 0).any():
            if _fits(draft, picked):
                best = (paid, tuple(picked))
            return
        if at == len(offers):
            return
        offer = offers[at]
        size = int(draft.offer_quarters[offer])
        counts = size >= SIZES
        useful = int(-(-int(np.maximum(left[counts], 0).max()) // size))
        for count in range(min(useful, room[offer]), -1, -1):
            if count:
                picked.append((offer, count))
            search(at + 1, left - np.where(counts, size * count, 0), paid + usd[offer] * count)
            if count:
                picked.pop()

    search(0, lack.astype(np.int64), opening)
    return best


def _fits(draft: Draft, picked: list[tuple[int, int]]) -> bool:
    """Whether servers of several offers stand together."""
    if len(picked) < 2:
        return True
    for offer, count in picked:
        draft.buy(offer, count)
    problem = draft.problem
    site = problem.offer_site[picked[0][0]]
    slack = 1e-9 * np.maximum(1.0, np.abs(np.where(np.isfinite(problem.limit_rhs), problem.limit_rhs, 1.0)))
    good = bool(
        (draft.use[site] <= problem.site_limit[site] * (1 + 1e-9)).all()
        and (draft.drawn <= problem.limit_rhs + slack).all()
    )
    for offer, count in picked:
        draft.buy(offer, -count)
    return good


def trim(draft: Draft) -> bool:
    """Give back servers that nothing needs, the dearest first; whether there were any."""
    problem = draft.problem
    held = np.flatnonzero((draft.servers > 0) & (problem.offer_usd >= 0))
    order = held[np.lexsort((held, -problem.offer_usd[held]))]
    given = False
    for offer in order.tolist():
        unit = int(draft.offer_unit[offer])
        while draft.servers[offer] > 0 and (unit < 0 or _dispensable(draft, unit, offer)):
            draft.buy(offer, -1)
            given = True
    return given


def _dispensable(draft: Draft, unit: int, offer: int) -> bool:
    size = draft.offer_quarters[offer]
    after = draft.held[unit] - np.where(size >= SIZES, size, 0)
    return bool((after[:, None] >= draft.taken[unit]).all())


__all__ = ["cheapest", "trim"]
