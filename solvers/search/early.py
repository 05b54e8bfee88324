"""Servers bought a period too early, where a later period could not set up or pay for all that it needs at once."""

from dataclasses import replace

import numpy as np

from solvers.problem import Float, Int, Problem
from solvers.rollout import Rollout
from solvers.solution import Placement


def early_enough(rollout: Rollout, plans: tuple[Placement, ...]) -> tuple[Placement, ...] | None:
    """`plans` with servers moved to earlier periods until installs and capex of every period are kept.

    The cheapest servers to hold come first, as far as the earlier period's own limits leave room. None where some
    period still needs more than it may.
    """
    counts = [plan.servers.copy() for plan in plans]
    opened = [plan.open.copy() for plan in plans]
    for h in range(len(plans) - 1, -1, -1):
        before = counts[h - 1] if h else np.zeros_like(counts[0])
        if not _excess(rollout, h, counts[h] - before).any():
            continue  # as mostly: asking offer by offer takes a minute of ten thousand
        problem = rollout.periods[max(h - 1, 0)]
        order = np.lexsort((np.arange(problem.offers), problem.offer_usd))
        for o in order.tolist():
            while _over(rollout, h, counts[h] - before, o):
                if h == 0 or counts[h][o] <= before[o] or not _room(problem, before, o):
                    break
                before[o] += 1
                opened[h - 1][problem.offer_site[o]] = True
        if _excess(rollout, h, counts[h] - before).any():
            return None
    return tuple(
        replace(plan, servers=servers, open=open_) for plan, servers, open_ in zip(plans, counts, opened, strict=True)
    )


def _excess(rollout: Rollout, period: int, grown: Int) -> Float:
    """By how much installs and capex of a period are exceeded (2), 0 where they are not."""
    grown = np.maximum(grown, 0)
    installs = float(grown[rollout.installed].sum()) - rollout.installs[period]
    capex = float(rollout.capex_usd @ grown) - rollout.capex_most[period]
    return np.maximum([installs, capex], 0.0)


def _over(rollout: Rollout, period: int, grown: Int, offer: int) -> bool:
    """Whether holding one more of the offer a period earlier would help."""
    installs, capex = _excess(rollout, period, grown)
    return bool((installs > 0 and rollout.installed[offer]) or (capex > 0 and rollout.capex_usd[offer] > 0))


def _room(problem: Problem, servers: Int, offer: int) -> bool:
    """Whether one more server of the offer stays within its own maximum, its site and the limit rows."""
    if servers[offer] >= problem.offer_max[offer]:
        return False
    more = servers.copy()
    more[offer] += 1
    site = int(problem.offer_site[offer])
    here = problem.offer_site == site
    use = more[here] @ problem.server_use[problem.offer_server[here]]
    if (use > problem.site_limit[site] * (1 + 1e-9)).any():
        return False
    return bool((problem.limit_matrix @ more <= problem.limit_rhs + 1e-9 * np.maximum(1, abs(problem.limit_rhs))).all())
