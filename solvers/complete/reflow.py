"""The best shares and backups for what stands, by linear programming, where the program is small enough."""

from dataclasses import replace

import numpy as np
import scipy.sparse as sp

from solvers.exact.flow import best_flow
from solvers.problem import Bool, Int, Problem
from solvers.rules import Reserve, Rules
from solvers.solution import Placement

MOST_COLUMNS = 60_000
"""Backup columns (domains × backup pairs on what stands) that a program may have."""


def reflow(problem: Problem, plan: Placement) -> Placement | None:
    """`plan` with the cheapest shares that every domain's failure allows; None where the program is large or fails.

    Sites, servers, replicas and jobs stay as they are.
    """
    reserve = problem.rules.reserve
    assert reserve is not None
    standing = plan.replicas > 0
    pairs = np.flatnonzero(standing[problem.pair_block])
    backups = np.flatnonzero(standing[reserve.pair_block])
    if reserve.domains * len(backups) > MOST_COLUMNS or len(pairs) > MOST_COLUMNS or not len(pairs):
        return None
    pairs = pairs[~_stranded(problem, reserve, pairs, backups)]
    if not len(pairs):
        return None
    found = best_flow(_part(problem, reserve, plan, pairs, backups), plan.open, plan.servers, plan.replicas)
    if found is None:
        return None
    share = np.zeros(problem.pairs)
    share[pairs] = found.share
    backup = _widened(reserve, found.backup, backups)
    return replace(plan, share=share, unserved=found.unserved, backup=backup)


def _stranded(problem: Problem, reserve: Reserve, pairs: Int, backups: Int) -> Bool:
    """Pairs that may not be used: in some domain that they fail with, nothing that stands could take their row over.

    Rows that nothing at all could take over are exempt, so they are none of these.
    """
    exempt = reserve.exempt(problem.demands, problem.block_site[reserve.pair_block])
    part = replace(reserve, pair_demand=reserve.pair_demand[backups])
    lonely = part.exempt(problem.demands, problem.block_site[reserve.pair_block[backups]]) & ~exempt
    row, site = problem.pair_demand[pairs], problem.pair_site[pairs]
    bad = np.zeros(len(pairs), np.bool_)
    for domain in range(reserve.domains):
        bad |= lonely[domain, row] & reserve.domain_site[domain, site]
    return bad


def _part(problem: Problem, reserve: Reserve, plan: Placement, pairs: Int, backups: Int) -> Problem:
    """The problem of the shares alone: pairs on what stands, N-1, and what is left of the budget."""
    jobs, moves, transit = problem.rules.jobs, problem.rules.moves, problem.rules.transit
    spent = 0.0 if jobs is None else float(jobs.option_usd[plan.jobs].sum())
    within = Reserve(
        reserve.domain_site, reserve.pair_demand[backups], reserve.pair_block[backups], reserve.pair_load[backups]
    )
    if moves is not None:
        spent += float(moves.usd @ np.maximum(plan.replicas - moves.before, 0))
    peak = transit if transit is not None and (transit.free == 0).all() else None
    return replace(
        problem,
        pair_demand=problem.pair_demand[pairs],
        pair_block=problem.pair_block[pairs],
        pair_load=problem.pair_load[pairs],
        pair_usd=problem.pair_usd[pairs],
        monthly_budget_usd=problem.monthly_budget_usd - spent,
        rules=Rules(transit=peak, reserve=within),
    )


def _widened(reserve: Reserve, backup: sp.csr_matrix | None, backups: Int) -> sp.csr_matrix:
    """Backup shares in the numbers of all backup pairs."""
    shape = (reserve.domains, reserve.pairs)
    if backup is None:
        return sp.csr_matrix(shape)
    entries = backup.tocoo()
    return sp.coo_matrix((entries.data, (entries.row, backups[entries.col])), shape=shape).tocsr()
