"""The certificate in the scenario's own names, so that anyone can check it without the solver's numbering.

`docs/certificate.md` is the format. Blocks and offers of the problem become names of sites, shapes, servers and owners.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from placement.plan.document import ShadowPrice
from placement.problem.names import Names
from solvers.problem import Problem
from solvers.solution import (
    SPLIT_OPEN,
    SPLIT_REPLICAS,
    SPLIT_SERVERS,
    Certificate,
    Covers,
    Cuts,
    Group,
    Tree,
)

SCHEMA = "nearserve-certificate-6"
LEAST_USD = 0.01

Arrays = dict[str, NDArray[Any]]
Int = NDArray[np.int64]


def certificate_arrays(
    certificates: Sequence[Certificate | None], names: Sequence[Names], problems: Sequence[Problem]
) -> Arrays | None:
    """The arrays of certificate.npz, `p{h}_…` for period h; None where any period has no certificate."""
    given = [certificate for certificate in certificates if certificate is not None]
    if len(given) < len(names):
        return None
    arrays: Arrays = {
        "schema": np.array(SCHEMA),
        "period": _text(period.period for period in names),
        "site": _text(names[0].sites),
        "slice": _text(names[0].slices),
    }
    for h, (certificate, period, problem) in enumerate(zip(given, names, problems, strict=True)):
        arrays |= {f"p{h}_{name}": array for name, array in _period(certificate, period, problem).items()}
    return arrays


def guiding_usd(own: Mapping[str, NDArray[Any]], *, failures: bool) -> NDArray[np.float64]:
    """What every row pays at the prices of one period's arrays (names without `p{h}_`), to be guided by, I.

    The root prices the rows of a group at their penalty, so these take the mean over the group's leaves; with
    `failures` a row pays for those as well.
    """
    usd = np.array(own["demand_usd"], np.float64)
    for k in range(int(own["groups"])):
        row, leaves = own[f"g{k}_row"], own[f"g{k}_leaf_usd"]
        mine = row < len(usd)
        usd[row[mine]] = np.minimum(usd[row[mine]], leaves.mean(axis=0)[mine])
    if failures:
        usd += np.bincount(own["backup_row"], own["backup_usd"], len(usd))
    return usd


def row_mbps(problem: Problem) -> NDArray[np.float64]:
    """What every whole row sends and receives, Mbit/s: its size, by which the plan of another day scales its price."""
    return np.asarray(problem.out_mbps + problem.in_mbps, np.float64)


def shadow_prices(certificates: Sequence[Certificate | None], names: Sequence[Names]) -> tuple[ShadowPrice, ...]:
    """What one unit more of each limit would be worth in a month of its period, where that is a cent or more.

    With several periods a limit's name begins with that of its period: `2027-H1: stock|s8|`.
    """
    found = []
    for certificate, period in zip(certificates, names, strict=bool(certificates)):
        prefix = f"{period.period}: " if len(names) > 1 else ""
        rows = [] if certificate is None else _priced(certificate, period)
        found += [ShadowPrice(limit=prefix + name, usd_month=round(usd, 2)) for name, usd in rows if usd >= LEAST_USD]
    return tuple(found)


def _period(certificate: Certificate, names: Names, problem: Problem) -> Arrays:
    blocks = _spoken_of(certificate)
    arrays = (
        _prices(certificate, names)
        | {"demand_mbps": row_mbps(problem)}
        | _blocks(blocks, names, problem)
        | _cuts(certificate.cuts, blocks)
    )
    arrays["cut_usd"] = certificate.multipliers.cut_usd
    arrays |= _covers(certificate.covers)
    arrays["cover_usd"] = certificate.multipliers.cover_usd
    backup = certificate.multipliers.backup
    arrays |= {
        "backup_domain": _text(names.domains[e] for e in backup.domain),
        "backup_row": backup.row,
        "backup_usd": backup.usd,
        "groups": np.array(len(certificate.groups)),
    }
    if len(certificate.multipliers.job_usd):
        arrays |= {"job": _text(names.jobs), "job_usd": certificate.multipliers.job_usd}
    for k, group in enumerate(certificate.groups):
        arrays |= {f"g{k}_{name}": array for name, array in _group(group, blocks, names, problem).items()}
    return arrays


def _prices(certificate: Certificate, names: Names) -> Arrays:
    """(R) and the names that it speaks of."""
    prices = certificate.multipliers
    return {
        "demand_region": _text(d.region for d in names.demands),
        "demand_model": _text(d.model for d in names.demands),
        "demand_service": _text(d.service for d in names.demands),
        "demand_slice": _text(d.slice for d in names.demands),
        "limit": _text(names.limits),
        "demand_usd": prices.demand_usd,
        "uplink_usd": prices.uplink_usd,
        "downlink_usd": prices.downlink_usd,
        "limit_usd": prices.limit_usd,
        "budget": np.array(prices.budget),
    }


def _spoken_of(certificate: Certificate) -> Int:
    """Blocks that cuts and trees speak of, ascending."""
    listed = [certificate.cuts.block, *(group.cuts.block for group in certificate.groups)]
    listed += [group.tree.index[group.tree.kind == SPLIT_REPLICAS] for group in certificate.groups]
    return np.unique(np.concatenate(listed)).astype(np.int64)


def _blocks(blocks: Int, names: Names, problem: Problem) -> Arrays:
    shapes = [names.shapes[d] for d in problem.block_shape[blocks]]
    return {
        "block_site": np.asarray(problem.block_site[blocks], np.int64),
        "block_shape": _text(shape.shape for shape in shapes),
        "block_tenant": _text(shape.tenant for shape in shapes),
        "block_slice": _slices(blocks, problem),
    }


def _slices(blocks: Int, problem: Problem) -> Int:
    return np.full(len(blocks), -1) if problem.block_slice is None else problem.block_slice[blocks]


def _cuts(cuts: Cuts, blocks: Int) -> Arrays:
    return {
        "cut_unit": cuts.unit,
        "cut_row_first": cuts.row_first,
        "cut_row": cuts.row,
        "cut_weight": cuts.weight,
        "cut_block_first": cuts.block_first,
        "cut_block": np.searchsorted(blocks, cuts.block),
    }


def _covers(covers: Covers) -> Arrays:
    return {
        "cover_unit": covers.unit,
        "cover_row_first": covers.row_first,
        "cover_row": covers.row,
        "cover_weight": covers.weight,
    }


def _group(group: Group, blocks: Int, names: Names, problem: Problem) -> Arrays:
    leaves = len(group.leaves)
    return {
        "site": group.site,
        "row": group.row,
        **_cuts(group.cuts, blocks),
        "cut_usd": np.array([leaf.cut_usd for leaf in group.leaves]).reshape(leaves, group.cuts.count),
        "leaf_usd": np.array([leaf.demand_usd for leaf in group.leaves]).reshape(leaves, len(group.row)),
        **{f"tree_{name}": array for name, array in _tree(group.tree, names, problem).items()},
    }


def _tree(tree: Tree, names: Names, problem: Problem) -> Arrays:
    """Branchings by name: (site, name of the server or shape, owner, slice)."""
    told = [_branching(kind, index, names, problem) for kind, index in zip(tree.kind, tree.index, strict=True)]
    return {
        "kind": tree.kind,
        "site": np.array([site for site, _, _, _ in told], np.int64),
        "name": _text(name for _, name, _, _ in told),
        "tenant": _text(tenant for _, _, tenant, _ in told),
        "slice": np.array([t for _, _, _, t in told], np.int64),
        "most": tree.most,
        "left": tree.left,
        "right": tree.right,
    }


def _branching(kind: int, index: int, names: Names, problem: Problem) -> tuple[int, str, str, int]:
    if kind == SPLIT_OPEN:
        return int(index), "", "", -1
    if kind == SPLIT_SERVERS:
        offer = names.offers[index]
        return int(problem.offer_site[index]), offer.server, offer.tenant, -1
    shape = names.shapes[problem.block_shape[index]]
    stands = -1 if problem.block_slice is None else int(problem.block_slice[index])
    return int(problem.block_site[index]), shape.shape, shape.tenant, stands


def _priced(certificate: Certificate, names: Names) -> list[tuple[str, float]]:
    """Limits, then uplinks, then downlinks, by name, with the certificate's prices."""
    prices = certificate.multipliers
    rows = sorted(zip(names.limits, prices.limit_usd.tolist(), strict=True))
    for kind, per_site in (("uplink", prices.uplink_usd), ("downlink", prices.downlink_usd)):
        usd = per_site.sum(axis=1).tolist()
        rows += sorted((f"{kind}|{site}", price) for site, price in zip(names.sites, usd, strict=True))
    return rows


def _text(values: Iterable[str]) -> NDArray[np.str_]:
    return np.array(list(values), dtype=np.str_)
