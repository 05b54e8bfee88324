"""The problem of a group: its sites alone, at the prices that the certificate holds for everything around it.

A row pays π_i for what the group serves; wires, limits, budget and the root's cuts are in the costs:

    unserved_usd = min(π_i, U_i), not below 0
    pair_usd     = (1 + ν)·pair_usd + η·Mbit/s + Σ δ_ic of the root's cuts that count the pair's block by replicas
    replica_usd  = (1 + ν)·replica_usd − Σ γ_c·F_c(α_b)                                            (of any sign)
    offer_usd    = (1 + ν)·offer_usd + ρ·limit_matrix
    open_usd     = (1 + ν)·open_usd − η·wires of the site                                          (of any sign)

What the group earns is Σ unserved_usd less the optimum of this problem, where a site is open if it holds a server.
"""

from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from solvers.bound.cuts import LEAST_FRACTION, replica_gain, slot_usd, table_of
from solvers.bound.layout import layout_of
from solvers.problem import Problem
from solvers.solution import Certificate, Cuts

Float = NDArray[np.float64]
Int = NDArray[np.int64]
Bool = NDArray[np.bool_]


@dataclass(frozen=True)
class Restricted:
    """A group's problem and where its arrays stand in the whole one. Its costs may be negative."""

    problem: Problem
    site: Int
    row: Int
    offer: Int
    block: Int
    pair: Int


def priced(problem: Problem, certificate: Certificate) -> Problem:
    """The whole problem with every price of `certificate` in its costs, and no row left to relax but demand."""
    at, paid = certificate.multipliers, 1.0 + certificate.multipliers.budget
    slice_ = problem.demand_slice[problem.pair_demand]
    row, site = problem.pair_demand, problem.pair_site
    pair_usd = paid * problem.pair_usd
    pair_usd += (
        at.uplink_usd[site, slice_] * problem.out_mbps[row] + at.downlink_usd[site, slice_] * problem.in_mbps[row]
    )
    open_usd = paid * problem.open_usd
    for usd, mbps in ((at.uplink_usd, problem.uplink_mbps), (at.downlink_usd, problem.downlink_mbps)):
        limited = np.isfinite(mbps)
        open_usd[limited] -= usd[limited].sum(axis=1) * mbps[limited]
    replica_usd = paid * problem.each_replica_usd
    if certificate.cuts.count:
        layout = layout_of(problem)
        cuts = table_of(layout, certificate.cuts)
        pair_usd[layout.structure.pair[cuts.slot_pair]] += slot_usd(cuts, at.cut_usd)
        replica_usd -= replica_gain(cuts, at.cut_usd, problem.blocks)
    offer_usd = paid * problem.offer_usd + problem.limit_matrix.T @ at.limit_usd
    nothing = np.full(problem.sites, np.inf)
    return replace(
        problem,
        open_usd=open_usd,
        uplink_mbps=nothing,
        downlink_mbps=nothing,
        offer_usd=np.asarray(offer_usd, np.float64),
        pair_usd=pair_usd,
        replica_usd=replica_usd,
        unserved_usd=np.maximum(np.minimum(at.demand_usd, problem.unserved_usd), 0.0),
        limit_matrix=sp.csr_matrix((0, problem.offers)),
        limit_rhs=np.empty(0),
        monthly_budget_usd=np.inf,
    )


def restrict(problem: Problem, certificate: Certificate, sites: Int) -> Restricted:
    """The problem of the group `sites` at the prices of `certificate`."""
    return part_of(priced(problem, certificate), sites)


def part_of(whole: Problem, sites: Int) -> Restricted:
    """The sites of a priced problem alone, with the rows that have a pair on them and the blocks that have any."""
    member = np.zeros(whole.sites, np.bool_)
    member[sites] = True
    offer = np.flatnonzero(member[whole.offer_site])
    pair = np.flatnonzero(member[whole.pair_site])
    row, block = np.unique(whole.pair_demand[pair]), np.unique(whole.pair_block[pair])
    site = np.flatnonzero(member)
    own = replace(
        whole,
        open_usd=whole.open_usd[site],
        uplink_mbps=whole.uplink_mbps[site],
        downlink_mbps=whole.downlink_mbps[site],
        site_limit=whole.site_limit[site],
        offer_site=np.searchsorted(site, whole.offer_site[offer]),
        offer_server=whole.offer_server[offer],
        offer_max=whole.offer_max[offer],
        offer_usd=whole.offer_usd[offer],
        block_site=np.searchsorted(site, whole.block_site[block]),
        block_shape=whole.block_shape[block],
        block_max=whole.block_max[block],
        block_choice=whole.block_choice[block],
        block_slice=None if whole.block_slice is None else whole.block_slice[block],
        replica_usd=whole.each_replica_usd[block],
        demand_model=whole.demand_model[row],
        demand_slice=whole.demand_slice[row],
        unserved_usd=whole.unserved_usd[row],
        out_mbps=whole.out_mbps[row],
        in_mbps=whole.in_mbps[row],
        pair_demand=np.searchsorted(row, whole.pair_demand[pair]),
        pair_block=np.searchsorted(block, whole.pair_block[pair]),
        pair_load=whole.pair_load[pair],
        pair_usd=whole.pair_usd[pair],
        limit_matrix=sp.csr_matrix((0, len(offer))),
    )
    return Restricted(own, site, row, offer, block, pair)


def cuts_of(cuts: Cuts, group: Restricted) -> tuple[Cuts, Int]:
    """The cuts that count blocks of the group, with their rows and blocks inside it in its numbering; and which.

    What is left of a cut may prove nothing (its weights add up to a whole number of units): then it is left out.
    """
    which, unit, row, weight, block, row_first, block_first = [], [], [], [], [], [0], [0]
    for c in range(cuts.count):
        rows = slice(int(cuts.row_first[c]), int(cuts.row_first[c + 1]))
        blocks = cuts.block[cuts.block_first[c] : cuts.block_first[c + 1]]
        inside, counted = np.isin(cuts.row[rows], group.row), blocks[np.isin(blocks, group.block)]
        units = float(cuts.weight[rows][inside].sum() / cuts.unit[c])
        if not len(counted) or not LEAST_FRACTION < units % 1.0 < 1 - LEAST_FRACTION:
            continue
        which.append(c)
        unit.append(cuts.unit[c])
        row.append(np.searchsorted(group.row, cuts.row[rows][inside]))
        weight.append(cuts.weight[rows][inside])
        block.append(np.searchsorted(group.block, counted))
        row_first.append(row_first[-1] + int(inside.sum()))
        block_first.append(block_first[-1] + len(counted))
    if not unit:
        return Cuts(), np.empty(0, np.int64)
    return Cuts(
        np.array(unit), np.array(row_first), np.concatenate(row), np.concatenate(weight),
        np.array(block_first), np.concatenate(block),
    ), np.array(which)  # fmt: skip
