"""Smaller cores: what a probe rules out below a threshold, and what probing one site after the other does."""

import time
from dataclasses import replace

import numpy as np

from solvers.bound.evaluate import Evaluator
from solvers.bound.layout import layout_of
from solvers.exact.probing import WARM_STEP, Core, Probe, Relaxation, fewest_sites, probe
from solvers.problem import Bool
from solvers.solution import Multipliers

_MARGIN = 1e-9
"""Part of the threshold by which a probed bound has to pass it: what adding floats could lose, many times over."""
_FORCED_SWEEPS = 120
_AGAIN_SWEEPS = 300


def passing(threshold_usd: float) -> float:
    """What a bound has to exceed before a plan below `threshold_usd` is ruled out."""
    return threshold_usd + _MARGIN * max(1.0, abs(threshold_usd)) if np.isfinite(threshold_usd) else np.inf


def reduced(core: Core, probed: Probe, threshold_usd: float, *, pairs_usd: float | None = None) -> Core | None:
    """What is left of `core` for plans that cost less than `threshold_usd`; None when there is no such plan.

    `pairs_usd` is a threshold of its own for pairs (at least the other one leaves the core sound below that one).
    """
    beyond = passing(threshold_usd)
    counts = np.flatnonzero((probed.count_usd <= beyond) & np.isfinite(probed.count_usd))
    opened = core.opened | (probed.closed_usd > beyond) | np.isposinf(probed.closed_usd)
    closed = core.closed | (probed.opened_usd > beyond) | np.isposinf(probed.opened_usd)
    if not len(counts) or (opened & closed).any():
        return None
    served = probed.served_usd > passing(threshold_usd if pairs_usd is None else pairs_usd)
    return _smaller(core, opened, closed, int(counts[0]), int(counts[-1]), ~served)


def tightened(
    core: Core, multipliers: Multipliers, threshold_usd: float, *, until: float = np.inf
) -> tuple[Core | None, Multipliers]:
    """`core` after every undecided site was probed with multipliers of its own, open and closed, until none gives way.

    None when no plan costs less than `threshold_usd`. Returns the multipliers that are best for what is left, too.
    """
    left: Core | None = core
    while left is not None:
        before = int((left.opened | left.closed).sum())
        left = _forced(left, multipliers, threshold_usd, until)
        if left is None:
            break
        probed = probe(left, multipliers, step=WARM_STEP, sweeps=_AGAIN_SWEEPS, until=until)
        multipliers = probed.multipliers
        left = reduced(left, probed, threshold_usd)
        if left is None or int((left.opened | left.closed).sum()) == before or time.monotonic() > until:
            break
    return left, multipliers


def _forced(core: Core, multipliers: Multipliers, threshold_usd: float, until: float) -> Core | None:
    """Force each undecided site open, then closed; what cannot stay below the threshold is decided the other way."""
    beyond = passing(threshold_usd)
    opened, closed = core.opened.copy(), core.closed.copy()
    with Evaluator(layout_of(core.problem), 1, exact=True) as evaluator:
        relaxation = Relaxation(evaluator, core)
        _, cost, _ = relaxation.sweep(multipliers)
        free = np.flatnonzero(~opened & ~closed)
        # The dearest are the likeliest to close; each decision helps those that follow.
        for site in free[np.argsort(-cost[free], kind="stable")].tolist():
            for forced, other in ((relaxation.opened, relaxation.closed), (relaxation.closed, relaxation.opened)):
                forced[site] = True
                _, bound = relaxation.ascend(
                    multipliers, step=WARM_STEP, sweeps=_FORCED_SWEEPS, until=until, enough_usd=beyond
                )
                forced[site] = False
                possible = core.least <= int((~relaxation.closed).sum()) and int(relaxation.opened.sum()) <= core.most
                if not possible:
                    return None
                if bound > beyond:
                    other[site] = True
                    break
            if time.monotonic() > until:
                break
        opened, closed = relaxation.opened, relaxation.closed
    return _smaller(core, opened, closed, core.least, core.most, np.ones(core.problem.pairs, np.bool_))


def _smaller(core: Core, opened: Bool, closed: Bool, least: int, most: int, kept: Bool) -> Core | None:
    """`core` with more sites decided and only the pairs `kept`; None when too many or too few sites are left."""
    problem = core.problem
    pairs = np.flatnonzero(kept & ~closed[problem.pair_site])
    smaller = replace(
        problem,
        offer_max=np.where(closed[problem.offer_site], 0, problem.offer_max),
        block_max=np.where(closed[problem.block_site], 0, problem.block_max),
        pair_demand=problem.pair_demand[pairs],
        pair_block=problem.pair_block[pairs],
        pair_load=problem.pair_load[pairs],
        pair_usd=problem.pair_usd[pairs],
    )
    if (smaller.unservable & np.isinf(smaller.unserved_usd)).any():
        return None
    least = max(least, int(opened.sum()), fewest_sites(smaller))
    most = min(most, int((~closed).sum()))
    return None if least > most else Core(smaller, core.pairs[pairs], opened, closed, least, most)
