"""(13) What the survivors take when a domain fails, in parts per billion that sum exactly to what it carried."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from placement.plan.exact import Int
from placement.plan.shares import apportion, whole_weights
from solvers.problem import Problem
from solvers.rules import Reserve
from solvers.solution import Placement

Bool = NDArray[np.bool_]


@dataclass(frozen=True)
class Backup:
    """What each domain's failure moves: V extra shares, and W demand rows of which a domain carries something."""

    domain: Int  # V
    demand: Int  # V
    block: Int  # V
    ppb: Int  # V
    hit_domain: Int  # W
    hit_demand: Int  # W
    hit_ppb: Int  # W: what the domain carries of the row
    hit_saved: Bool  # W: it is rerouted; else it is lost


_NONE = np.empty(0, np.int64)
NO_BACKUP = Backup(_NONE, _NONE, _NONE, _NONE, _NONE, _NONE, _NONE, np.empty(0, np.bool_))


def backups(problem: Problem, placement: Placement, share_ppb: Int, rank: Int) -> Backup:
    """The extra shares of every domain's failure, by whole numbers.

    Σ of a row's extra shares is the sum of its primary shares inside the domain, where it has a backup. *planned*:
    in the proportions of the solver's shares; *proportional*: of the survivors' primary shares, to one part; largest
    remainders first, of equal ones the block with the lesser `rank` (B). *priority*: all of it on one block.

    Args:
        share_ppb: primary shares of the pairs, N.
    """
    reserve = problem.rules.reserve
    if reserve is None:
        return NO_BACKUP
    used = np.flatnonzero(share_ppb)
    parts = [_domain(problem, placement, reserve, e, used, share_ppb[used], rank) for e in range(reserve.domains)]
    return Backup(*(np.concatenate(column) for column in zip(*parts, strict=True))) if parts else NO_BACKUP


def _domain(
    problem: Problem, placement: Placement, reserve: Reserve, e: int, used: Int, ppb: Int, rank: Int
) -> tuple[Int, Int, Int, Int, Int, Int, Int, Bool]:
    """One domain's part of `Backup`, its fields in order."""
    demand, block = problem.pair_demand[used], problem.pair_block[used]
    inside = reserve.domain_site[e, problem.block_site[block]]
    rows, group = np.unique(demand[inside], return_inverse=True)
    carried = np.zeros(len(rows), np.int64)
    np.add.at(carried, group, ppb[inside])
    number = np.full(problem.demands, -1, np.int64)
    number[rows] = np.arange(len(rows))
    survives = ~inside & (number[demand] >= 0)
    if reserve.policy == "proportional":
        group, chosen, weight = number[demand[survives]], block[survives], ppb[survives]
    else:
        group, chosen, weight = _solved(problem, placement, reserve, e, number)
    if reserve.policy == "priority":
        weight = _first_only(group, weight, rank[chosen])
    extra = apportion(carried, group, weight, rank[chosen])
    saved = np.bincount(group, extra, len(rows)) > 0
    kept = extra > 0
    own = np.full
    return (
        own(int(kept.sum()), e),
        rows[group[kept]],
        chosen[kept],
        extra[kept],
        own(len(rows), e),
        rows,
        carried,
        saved,
    )


def _solved(problem: Problem, placement: Placement, reserve: Reserve, e: int, number: Int) -> tuple[Int, Int, Int]:
    """The solver's backup shares of the rows that have a `number` (I): (number, block, weight)."""
    if placement.backup is None:
        return _NONE, _NONE, _NONE
    row = placement.backup.getrow(e)
    share = np.clip(np.asarray(row.data, np.float64), 0.0, 1.0)
    pair = np.asarray(row.indices, np.int64)
    block = reserve.pair_block[pair]
    group = number[reserve.pair_demand[pair]]
    stands = (share > 0) & (group >= 0) & ~reserve.domain_site[e, problem.block_site[block]]
    group, block, share = group[stands], block[stands], share[stands]
    return group, block, whole_weights(group, share, int(number.max(initial=-1)) + 1)


def _first_only(group: Int, weight: Int, rank: Int) -> Int:
    """The weights with all but the largest of each group made 0."""
    order = np.lexsort((rank, -weight, group))
    first = np.r_[True, np.diff(group[order]) > 0] if len(order) else np.empty(0, np.bool_)
    kept = np.zeros(len(group), np.bool_)
    kept[order[first]] = True
    return np.where(kept, weight, 0)
