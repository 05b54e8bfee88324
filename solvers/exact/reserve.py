"""(13) Backup shares as columns and as a plan publishes them, under each failover policy."""

from dataclasses import replace

import numpy as np
import scipy.sparse as sp

from solvers.exact.columns import RESERVE_LEVELS, Columns, primary_of
from solvers.problem import Bool, Float, Problem
from solvers.rules import Reserve

_DUST = 1e-11
"""Backup shares below this are the last digits of the simplex."""


def planned_instead(problem: Problem) -> Problem | None:
    """The relaxation whose bound is sound where the model of a policy is only sufficient; None where it is exact.

    Every backup share that a policy may publish, planned failover may too, so planned failover is never dearer.
    Two choices of a row say all of priority failover where no two domains share a site.
    """
    reserve = problem.rules.reserve
    if reserve is None or reserve.policy == "planned":
        return None
    if reserve.policy == "priority" and int(reserve.domain_site.sum(axis=0).max(initial=0)) <= 1:
        return None
    return replace(problem, rules=replace(problem.rules, reserve=replace(reserve, policy="planned")))


def published_backup(problem: Problem, columns: Columns, values: Float, share: Float) -> sp.csr_matrix | None:
    """The backup shares that belong to `share` (N), E × Z; None where the rule is off.

    Planned: those of `values`, brought to meet every loss to the last digit. Priority: the whole loss at the choice.
    Proportional: the loss by the shares that survive.
    """
    reserve = problem.rules.reserve
    if reserve is None:
        return None
    domain, pair = columns.kind("backup").index
    demand = reserve.pair_demand[pair]
    loss = lost_share(problem, reserve, share)[domain, demand]
    if reserve.policy == "planned":
        backup = np.clip(values[columns.of("backup")], 0.0, 1.0)
        backup[backup < _DUST] = 0.0
        failure = domain * problem.demands + demand
        taken = np.bincount(failure, backup, reserve.domains * problem.demands)[failure]
        backup *= _ratio(loss, taken)
    elif reserve.policy == "priority":
        backup = loss * _takes_over(problem, reserve, columns, values)
    else:
        staying = np.bincount(problem.pair_demand, share, problem.demands)[demand] - loss
        backup = share[primary_of(problem, reserve)[pair]] * _ratio(loss, staying)
    kept = backup > 0
    return sp.csr_matrix((backup[kept], (domain[kept], pair[kept])), shape=(reserve.domains, reserve.pairs))


def set_reserve(problem: Problem, columns: Columns, values: Float, share: Float, backup: sp.csr_matrix | None) -> None:
    """Write the columns of (13) that say `backup` into `values` (M), as far as they can."""
    reserve = problem.rules.reserve
    if reserve is None or backup is None:
        return
    dense = np.asarray(backup.toarray(), np.float64)
    domain, pair = columns.kind("backup").index
    values[columns.of("backup")] = dense[domain, pair]
    if reserve.policy == "priority":
        _set_choices(problem, reserve, columns, values, dense)
    if reserve.policy == "proportional":
        _set_levels(problem, reserve, columns, values, share)


def lost_share(problem: Problem, reserve: Reserve, share: Float) -> Float:
    """X: what every row loses when a domain fails, E × I."""
    result = np.zeros((reserve.domains, problem.demands))
    for e in range(reserve.domains):
        down = reserve.domain_site[e, problem.pair_site]
        result[e] = np.bincount(problem.pair_demand, share * down, problem.demands)
    return result


def _ratio(part: Float, whole: Float) -> Float:
    return np.asarray(np.divide(part, whole, out=np.zeros(len(part)), where=whole > 0), np.float64)


def _takes_over(problem: Problem, reserve: Reserve, columns: Columns, values: Float) -> Bool:
    """Backup columns that the choices name: the first where it stands, the second where the first has failed."""
    domain, pair = columns.kind("backup").index
    chosen = {}
    for name in ("first", "second"):
        chosen[name] = np.zeros(reserve.pairs, np.bool_)
        chosen[name][columns.kind(name).index[0]] = values[columns.of(name)] > 0.5
    first_site = np.full(problem.demands, -1)
    named = np.flatnonzero(chosen["first"])
    first_site[reserve.pair_demand[named]] = problem.block_site[reserve.pair_block[named]]
    site = first_site[reserve.pair_demand[pair]]
    fallen = (site >= 0) & reserve.domain_site[domain, site]
    return np.asarray(chosen["first"][pair] | (fallen & chosen["second"][pair]), np.bool_)


def _set_choices(problem: Problem, reserve: Reserve, columns: Columns, values: Float, backup: Float) -> None:
    """First and second choices that give `backup`; a row with more than two keeps the first two."""
    site = problem.block_site[reserve.pair_block]
    at = {name: columns.find(name, reserve.pairs) for name in ("first", "second")}
    for row in np.unique(reserve.pair_demand[backup.any(axis=0)]).tolist():
        pairs = np.flatnonzero(reserve.pair_demand == row)
        failure, choice = np.nonzero(backup[:, pairs] > 0)
        used = pairs[choice]
        # The first choice is the one that no other was taken over while it stood.
        free = [a for a in np.unique(used).tolist() if reserve.domain_site[failure[used != a], site[a]].all()]
        first = free[0] if free else int(used[0])
        others = [b for b in np.unique(used).tolist() if b != first]
        values[at["first"][first]] = 1.0
        if others:
            values[at["second"][others[0]]] = 1.0


def _set_levels(problem: Problem, reserve: Reserve, columns: Columns, values: Float, share: Float) -> None:
    """The least level that covers each loss, and the backup that it keeps."""
    loss = lost_share(problem, reserve, share)
    served = np.bincount(problem.pair_demand, share, problem.demands)
    rho = np.asarray(RESERVE_LEVELS)
    part = loss / np.where(served > 0, served, 1.0)
    level = np.minimum(np.searchsorted(rho, part - 1e-12), len(rho) - 1)
    domain, demand, number = columns.kind("level").index
    values[columns.of("level")] = (loss[domain, demand] > 0) & (level[domain, demand] == number)
    domain, pair = columns.kind("backup").index
    demand = reserve.pair_demand[pair]
    chosen = rho[level[domain, demand]]
    factor = np.where(loss[domain, demand] > 0, chosen / (1 - chosen), 0.0)
    values[columns.of("backup")] = share[primary_of(problem, reserve)[pair]] * factor
