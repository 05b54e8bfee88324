"""One period of a roll-out as the problem that is left once some servers stand.

Servers that must stay are sunk: they cost nothing more, take their power, rack units and stock at once, and open their
site. Installs and capex are counted on what comes on top of the period before. Rows of later periods are kept now for
servers that will still be there then.
"""

from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse as sp

from solvers.problem import Bool, Float, Int, Problem
from solvers.rollout import Rollout
from solvers.solution import Placement


@dataclass(frozen=True)
class Stage:
    """A period's problem given what stood in the period before; offer j of it is a part of offer `whole[j]`.

    An offer of which some stand is split: first those that stand (`stands`), then what can be added.
    """

    problem: Problem
    whole: Int  # offers of the stage: the offer of the period
    stands: Bool  # offers of the stage: the part that stood before
    sunk: Int  # O: servers that stand whatever the stage decides
    sunk_site: Bool  # P: sites they keep open
    sunk_usd: float  # what they and their sites cost a month

    def placement(self, found: Placement) -> Placement:
        """A plan of the stage as a plan of the period."""
        servers = np.bincount(self.whole[~self._idle], found.servers[~self._idle], minlength=len(self.sunk))
        return replace(found, servers=servers.astype(np.int64) + self.sunk, open=found.open | self.sunk_site)

    def stage_placement(self, plan: Placement) -> Placement:
        """A plan of the period as one of the stage, as far as it goes; servers beyond an offer's maximum are cut."""
        left = plan.servers.copy()
        servers = np.zeros(len(self.whole), np.int64)
        for part in (self.stands, ~self.stands):
            at = np.flatnonzero(part)
            servers[at] = np.minimum(left[self.whole[at]], self.problem.offer_max[at])
            left[self.whole[at]] -= servers[at]
        return replace(plan, servers=servers)

    @property
    def _idle(self) -> Bool:
        """Parts that `sunk` counts already."""
        return np.asarray(self.stands & (self.sunk[self.whole] > 0), np.bool_)


def stage_of(rollout: Rollout, period: int, before: Int | None = None, ceiling: Int | None = None) -> Stage:
    """The stage of `period` when `before` (O) servers stood in the period before.

    Without `before` all periods up to this one are taken as one: their installs and capex together are what may be
    added. `ceiling` (O) is the most that may stand of those that stay; without it no more may be spent than in any
    later period, as servers are still paid for then. Where there is nothing to change, the stage's problem is the
    period's own, the same value.
    """
    problem = rollout.periods[period]
    most = _most(rollout, period, ceiling)
    if ceiling is None and rollout.stays.any():
        budget_usd = min(later.monthly_budget_usd for later in rollout.periods[period:])
        if budget_usd < problem.monthly_budget_usd:
            problem = replace(problem, monthly_budget_usd=budget_usd)
    span = slice(0 if before is None else period, period + 1)
    allowed = (float(rollout.installs[span].sum()), float(rollout.capex_most[span].sum()))
    before = np.zeros(problem.offers, np.int64) if before is None else before
    split = (before > 0) & (rollout.stays | rollout.installed | (rollout.capex_usd > 0))
    later = _later_rows(rollout, period)
    counted = np.isfinite(allowed).any()
    changed = (most != problem.offer_max).any() or later is not None
    if not split.any() and not counted and not changed:
        nothing = np.zeros(problem.offers, np.bool_)
        return Stage(
            problem, np.arange(problem.offers), nothing, np.zeros(problem.offers, np.int64),
            np.zeros(problem.sites, np.bool_), 0.0,
        )  # fmt: skip
    return _split(rollout, problem, before, most, split, later, allowed)


def _most(rollout: Rollout, period: int, ceiling: Int | None) -> Int:
    """offer_max, for servers that stay the least of all periods from now on."""
    most = rollout.periods[period].offer_max.copy()
    for problem in rollout.periods[period + 1 :]:
        most = np.where(rollout.stays, np.minimum(most, problem.offer_max), most)
    return most if ceiling is None else np.where(rollout.stays, np.minimum(most, ceiling), most)


def _later_rows(rollout: Rollout, period: int) -> tuple[sp.csr_matrix, Float] | None:
    """Limit rows of later periods over the servers that stay then, where they say more than those of `period`."""
    problem = rollout.periods[period]
    if period == len(rollout.periods) - 1 or not rollout.stays.any():
        return None
    known = [(_of_those(problem.limit_matrix, rollout.stays), problem.limit_rhs)]
    rows, rhs = [], []
    for after in rollout.periods[period + 1 :]:
        matrix = _of_those(after.limit_matrix, rollout.stays)
        for k in np.flatnonzero(np.isfinite(after.limit_rhs) & (np.diff(matrix.indptr) > 0)).tolist():
            row, most = matrix[k], float(after.limit_rhs[k])
            if any(_implied(row, most, k, *old) for old in known):
                continue
            rows.append(row)
            rhs.append(most)
        known.append((matrix, after.limit_rhs))
    return (sp.vstack(rows).tocsr(), np.asarray(rhs)) if rows else None


def _of_those(matrix: sp.csr_matrix | sp.csc_matrix, offers: Bool) -> sp.csr_matrix:
    """The matrix with the columns of other offers emptied."""
    kept: sp.csr_matrix = (matrix @ sp.diags(offers.astype(float))).tocsr()
    kept.eliminate_zeros()
    return kept


def _implied(row: sp.csr_matrix, most: float, at: int, matrix: sp.csr_matrix, rhs: Float) -> bool:
    """Whether row `at` of an earlier matrix is the same and allows no more."""
    if at >= len(rhs) or rhs[at] > most:
        return False
    return bool(abs(matrix[at] - row).sum() == 0)


def _split(
    rollout: Rollout, problem: Problem, before: Int, most: Int, split: Bool,
    later: tuple[sp.csr_matrix, Float] | None, allowed: tuple[float, float],
) -> Stage:  # fmt: skip
    sunk = np.where(rollout.stays, before, 0)
    sunk_site = np.bincount(problem.offer_site, sunk, minlength=problem.sites) > 0
    parts = 1 + split.astype(np.int64)
    whole = np.repeat(np.arange(problem.offers), parts)
    stands = np.zeros(len(whole), np.bool_)
    stands[(np.cumsum(parts) - parts)[split]] = True
    free = stands & (sunk[whole] > 0)
    held = np.where(split, before, 0)
    standing_most = np.where(rollout.stays, held, np.minimum(held, most))
    offer_max = np.where(stands, standing_most[whole], (most - np.where(split, standing_most, 0))[whole])
    matrix, rhs = problem.limit_matrix, problem.limit_rhs
    if later is not None:
        matrix, rhs = sp.vstack([matrix, later[0]]).tocsr(), np.concatenate([rhs, later[1]])
    used = np.asarray(matrix @ sunk.astype(float)).ravel()
    own = _of_those(matrix.tocsc()[:, whole], ~free)
    counts = _counted(rollout, allowed, whole, stands)
    kinds = len(problem.server_gpu)
    taken = np.zeros_like(problem.site_limit)
    np.add.at(taken, problem.offer_site, problem.server_use[problem.offer_server] * sunk[:, None])
    sunk_usd = float(problem.offer_usd @ sunk + problem.open_usd @ sunk_site)
    stage = replace(
        problem,
        open_usd=np.where(sunk_site, 0.0, problem.open_usd),
        site_limit=np.maximum(problem.site_limit - taken, 0.0),
        server_gpu=np.concatenate([problem.server_gpu, problem.server_gpu]),
        server_gpus=np.concatenate([problem.server_gpus, problem.server_gpus]),
        server_use=np.concatenate([problem.server_use, np.zeros_like(problem.server_use)]),
        offer_site=problem.offer_site[whole],
        offer_server=problem.offer_server[whole] + np.where(free, kinds, 0),
        offer_max=offer_max,
        offer_usd=np.where(free, 0.0, problem.offer_usd[whole]),
        limit_matrix=sp.vstack([own, counts[0]]).tocsr(),
        limit_rhs=np.concatenate([np.maximum(rhs - used, 0.0), counts[1]]),
        monthly_budget_usd=max(problem.monthly_budget_usd - sunk_usd, 0.0),
    )
    return Stage(stage, whole, stands, sunk, sunk_site, sunk_usd)


def _counted(rollout: Rollout, allowed: tuple[float, float], whole: Int, stands: Bool) -> tuple[sp.csr_matrix, Float]:
    """Rows of installs and capex, over what is added."""
    rows, rhs = [], []
    for each, most in zip((rollout.installed.astype(float), rollout.capex_usd), allowed, strict=True):
        if np.isfinite(most):
            rows.append(sp.csr_matrix(np.where(stands, 0.0, each[whole])[None, :]))
            rhs.append(most)
    matrix = sp.vstack(rows).tocsr() if rows else sp.csr_matrix((0, len(whole)))
    return matrix, np.asarray(rhs, np.float64)
