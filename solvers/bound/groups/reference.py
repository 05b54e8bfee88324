"""The bound of a certificate with groups once more, in plain loops: `docs/certificate.md` (R), (C), (G). Slow.

Every site is solved by trying all counts of servers and replicas that a leaf allows.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from solvers.bound.reference import block_value
from solvers.problem import Problem
from solvers.solution import SPLIT_OPEN, SPLIT_REPLICAS, SPLIT_SERVERS, Certificate, Cuts, Group

Float = NDArray[np.float64]
Int = NDArray[np.int64]

Limits = dict[tuple[int, int], tuple[int, float]]
"""(kind of branching, index) → least and most of it; servers by (SPLIT_SERVERS, an offer of the kind)."""


@dataclass(frozen=True)
class Prices:
    """What sites see: gain of every pair (N), prices of replicas (B), servers (O) and open sites (P)."""

    gain: Float
    replica_usd: Float
    offer_usd: Float
    open_usd: Float


def reference_certified_usd(problem: Problem, certificate: Certificate) -> float:
    """The lower bound that `certificate` proves, USD a month."""
    at = certificate.multipliers
    root = np.minimum(at.demand_usd, problem.unserved_usd)
    bound = float(root.sum())
    bound -= sum(usd * limit for usd, limit in zip(at.limit_usd, problem.limit_rhs, strict=True) if usd > 0)
    bound -= at.budget * problem.monthly_budget_usd if at.budget > 0 else 0.0
    bound += _gained(certificate.cuts, at.cut_usd)
    prices = _root_prices(problem, certificate, root)
    grouped = {int(p) for group in certificate.groups for p in group.site}
    for p in set(range(problem.sites)) - grouped:
        bound -= max(0.0, site_value(problem, prices, p, {}, with_credit=True))
    for group in certificate.groups:
        bound -= max(_leaf_worth(problem, prices, root, group, k, limits) for k, limits in _paths(group))
    return float(bound)


def _root_prices(problem: Problem, certificate: Certificate, root: Float) -> Prices:
    at, paid = certificate.multipliers, 1.0 + certificate.multipliers.budget
    row, site = problem.pair_demand, problem.pair_site
    t = problem.demand_slice[row]
    gain = root[row] - paid * problem.pair_usd
    gain = gain - at.uplink_usd[site, t] * problem.out_mbps[row] - at.downlink_usd[site, t] * problem.in_mbps[row]
    credit = np.zeros(problem.sites)
    for usd, mbps in ((at.uplink_usd, problem.uplink_mbps), (at.downlink_usd, problem.downlink_mbps)):
        for p in range(problem.sites):
            credit[p] += sum(price * mbps[p] for price in usd[p] if price > 0)
    offer = paid * problem.offer_usd + problem.limit_matrix.T @ at.limit_usd
    prices = Prices(gain, paid * problem.each_replica_usd, np.asarray(offer, float), paid * problem.open_usd - credit)
    return _with_cuts(problem, prices, certificate.cuts, at.cut_usd)


def _leaf_worth(problem: Problem, root: Prices, root_usd: Float, group: Group, k: int, limits: Limits) -> float:
    own = root_usd.copy()
    own[group.row] = np.minimum(np.maximum(group.leaves[k].demand_usd, 0.0), np.maximum(root_usd[group.row], 0.0))
    gain = root.gain + (own - root_usd)[problem.pair_demand]
    prices = Prices(gain, root.replica_usd, root.offer_usd, root.open_usd)
    prices = _with_cuts(problem, prices, group.cuts, group.leaves[k].cut_usd)
    total = float((np.maximum(root_usd, 0.0) - own)[group.row].sum()) - _gained(group.cuts, group.leaves[k].cut_usd)
    return total + sum(site_value(problem, prices, int(p), limits) for p in group.site)


def _gained(cuts: Cuts, usd: Float) -> float:
    total = 0.0
    for c in range(cuts.count):
        weight = cuts.weight[cuts.row_first[c] : cuts.row_first[c + 1]].sum() / cuts.unit[c]
        f = weight - np.floor(weight)
        total += usd[c] * (np.ceil(weight) - weight / f)
    return float(total)


def _with_cuts(problem: Problem, prices: Prices, cuts: Cuts, usd: Float) -> Prices:
    """What the cuts take from pairs and give to replicas."""
    gain, replica = prices.gain.copy(), prices.replica_usd.copy()
    for c in range(cuts.count):
        rows = cuts.row[cuts.row_first[c] : cuts.row_first[c + 1]]
        weight = dict(zip(rows.tolist(), cuts.weight[cuts.row_first[c] : cuts.row_first[c + 1]].tolist(), strict=True))
        units = sum(weight.values()) / cuts.unit[c]
        f = units - np.floor(units)
        for b in cuts.block[cuts.block_first[c] : cuts.block_first[c + 1]].tolist():
            carried: dict[int, float] = {}
            for n in np.flatnonzero(problem.pair_block == b):
                i = int(problem.pair_demand[n])
                if i in weight:
                    gain[n] -= usd[c] * weight[i] / (cuts.unit[c] * f)
                    t = int(problem.demand_slice[i])
                    carried[t] = max(carried.get(t, 0.0), weight[i] / problem.pair_load[n])
            alpha = problem.capacity_factor * sum(carried.values()) / cuts.unit[c]
            replica[b] -= usd[c] * (np.floor(alpha) + min(1.0, (alpha - np.floor(alpha)) / f))
    return Prices(gain, replica, prices.offer_usd, prices.open_usd)


def _paths(group: Group) -> Iterator[tuple[int, Limits]]:
    """Every leaf with what its path allows."""
    tree = group.tree
    waiting: list[tuple[int, Limits]] = [(0 if len(tree.kind) else -1, {})]
    while waiting:
        node, limits = waiting.pop()
        if node < 0:
            yield -1 - node, limits
            continue
        key = (int(tree.kind[node]), int(tree.index[node]))
        least, most = limits.get(key, (0, np.inf))
        at = int(tree.most[node])
        waiting.append((int(tree.left[node]), {**limits, key: (least, min(most, at))}))
        waiting.append((int(tree.right[node]), {**limits, key: (max(least, at + 1), most)}))


def site_value(problem: Problem, prices: Prices, site: int, limits: Limits, *, with_credit: bool = False) -> float:
    """V_p: the best of a closed site and of every stock of servers; `with_credit`: an open site may hold none."""
    blocks = [int(b) for b in np.unique(problem.pair_block) if problem.block_site[b] == site]
    gpus = sorted({int(problem.shape_gpu[problem.block_shape[b]]) for b in blocks})
    best = -np.inf
    packed = {gpu: _packings(problem, prices, [b for b in blocks if _gpu(problem, b) == gpu], limits) for gpu in gpus}
    for counts in _stocks(problem, site, gpus, limits):
        held = sum(counts.values())
        least, most = limits.get((SPLIT_OPEN, site), (0, np.inf))
        if not least <= (held > 0) <= most:
            continue
        value = -prices.open_usd[site] if held or with_credit else 0.0
        value -= sum(counts[o] * prices.offer_usd[o] for o in counts)
        for gpu in gpus:
            room = 4 * sum(c * problem.server_gpus[problem.offer_server[o]] for o, c in counts.items()
                           if problem.server_gpu[problem.offer_server[o]] == gpu)  # fmt: skip
            value += sum(max((usd for q, usd in part if q <= room), default=-np.inf) for part in packed[gpu])
        best = max(best, value, 0.0 if with_credit else -np.inf)
    return float(best)


def _gpu(problem: Problem, block: int) -> int:
    return int(problem.shape_gpu[problem.block_shape[block]])


def _stocks(problem: Problem, site: int, gpus: list[int], limits: Limits) -> Iterator[dict[int, int]]:
    offers = [int(o) for o in np.flatnonzero(problem.offer_site == site)
              if problem.server_gpu[problem.offer_server[o]] in gpus]  # fmt: skip
    for counts in itertools.product(*(range(int(problem.offer_max[o]) + 1) for o in offers)):
        use = np.array(counts, float) @ problem.server_use[problem.offer_server[offers]]
        if offers and (use > problem.site_limit[site] * (1 + 1e-9)).any():
            continue
        of_kind: dict[int, int] = {}
        for o, c in zip(offers, counts, strict=True):
            kind = int(problem.offer_server[o])
            of_kind[kind] = of_kind.get(kind, 0) + c
        met = True
        for (what, index), (least, most) in limits.items():
            if what == SPLIT_SERVERS and problem.offer_site[index] == site:
                met &= least <= of_kind.get(int(problem.offer_server[index]), 0) <= most
        if met:
            yield dict(zip(offers, counts, strict=True))


def _packings(problem: Problem, prices: Prices, blocks: list[int], limits: Limits) -> list[list[tuple[int, float]]]:
    """(quarters, USD) of all counts of the blocks; one list for each slice where replicas follow the slices."""
    stands = np.full(problem.blocks, -1) if problem.block_slice is None else problem.block_slice
    slices = np.arange(max(problem.slices, 1))
    if not (stands[blocks] >= 0).any():
        return [_counted(problem, prices, [(b, slices, 1.0) for b in blocks], limits)]
    found = []
    for t in slices:
        here = [(b, slices[t : t + 1], 1.0 if stands[b] >= 0 else 1.0 / len(slices)) for b in blocks
                if stands[b] in (-1, t)]  # fmt: skip
        found.append(_counted(problem, prices, here, limits))
    return found


def _counted(
    problem: Problem, prices: Prices, blocks: list[tuple[int, Int, float]], limits: Limits
) -> list[tuple[int, float]]:
    ranges = []
    for b, _, _ in blocks:
        least, most = limits.get((SPLIT_REPLICAS, b), (0, np.inf))
        ranges.append(range(int(least), int(min(most, problem.block_max[b])) + 1))
    worth = {
        (b, y): block_value(problem, prices.gain, b, y, t) - part * y * prices.replica_usd[b]
        for (b, t, part), counts in zip(blocks, ranges, strict=True)
        for y in counts
    }
    found = []
    for counts in itertools.product(*ranges):
        chosen = [
            (int(problem.block_choice[b]), int(problem.shape_quarters[problem.block_shape[b]]))
            for (b, _, _), y in zip(blocks, counts, strict=True)
            if y > 0 and problem.block_choice[b] >= 0
        ]
        if len(set(chosen)) < len(chosen):
            continue
        quarters = sum(
            y * int(problem.shape_quarters[problem.block_shape[b]]) for (b, _, _), y in zip(blocks, counts, strict=True)
        )
        found.append((quarters, float(sum(worth[b, y] for (b, _, _), y in zip(blocks, counts, strict=True)))))
    return found
