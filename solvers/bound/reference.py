"""The Lagrangian function once more, in plain numpy and loops: what the compiled sweep is tested against."""

import itertools
import math

import numpy as np
from numpy.typing import NDArray

from solvers.problem import Problem
from solvers.solution import Cuts, Multipliers

Float = NDArray[np.float64]
Int = NDArray[np.int64]


def reference_bound(problem: Problem, multipliers: Multipliers, cuts: Cuts | None = None) -> float:
    """L(multipliers), USD a month, with the `cuts` at their prices; slow, for small problems.

    The formulas are those of `solvers.bound.sweep` and `solvers.bound.cuts`.
    """
    paid = 1.0 + multipliers.budget
    bound = float(np.minimum(multipliers.demand_usd, problem.unserved_usd).sum())
    for row, price in enumerate(multipliers.limit_usd):
        bound -= price * problem.limit_rhs[row] if price > 0 else 0.0
    bound -= multipliers.budget * problem.monthly_budget_usd if multipliers.budget > 0 else 0.0
    gain = problem.pair_usd * -paid + multipliers.demand_usd[problem.pair_demand]
    slice_ = problem.demand_slice[problem.pair_demand]
    wired = np.flatnonzero(slice_ < multipliers.uplink_usd.shape[1])  # failures, behind these, take no wires
    place, served = (problem.pair_site[wired], slice_[wired]), problem.pair_demand[wired]
    gain[wired] -= multipliers.uplink_usd[place] * problem.out_mbps[served]
    gain[wired] -= multipliers.downlink_usd[place] * problem.in_mbps[served]
    replica_usd = paid * problem.each_replica_usd
    for c, price in enumerate(multipliers.cut_usd):
        if cuts is not None:
            bound += _cut(problem, cuts, c, float(price), gain, replica_usd)
    offer_usd = paid * problem.offer_usd + problem.limit_matrix.T @ multipliers.limit_usd
    for site in range(problem.sites):
        profit = -paid * problem.open_usd[site] + _network_rent(problem, multipliers, site)
        for gpu in np.unique(problem.shape_gpu):
            values = _unit_values(problem, gain, replica_usd, site, int(gpu))
            for_servers = _servers(problem, offer_usd, site, int(gpu))
            profit += max([0.0, *(sum(_at_most(value, 4 * g) for value in values) - usd for g, usd in for_servers)])
        bound -= max(0.0, profit)
    return bound


def _cut(problem: Problem, cuts: Cuts, c: int, price: float, gain: Float, replica_usd: Float) -> float:
    """What cut c adds to the bound; lowers `gain` (N) and `replica_usd` (B) by what it changes there."""
    rows = slice(int(cuts.row_first[c]), int(cuts.row_first[c + 1]))
    weight = dict(zip(cuts.row[rows].tolist(), cuts.weight[rows].tolist(), strict=True))
    unit = float(cuts.unit[c])
    units = sum(weight.values()) / unit
    fraction = units - math.floor(units)
    for b in cuts.block[cuts.block_first[c] : cuts.block_first[c + 1]].tolist():
        best = dict.fromkeys(range(problem.slices), 0.0)
        for n in np.flatnonzero(problem.pair_block == b).tolist():
            i = int(problem.pair_demand[n])
            if i in weight:
                t = int(problem.demand_slice[i])
                best[t] = max(best[t], weight[i] / float(problem.pair_load[n]))
                gain[n] -= price * weight[i] / (unit * fraction)
        alpha = problem.capacity_factor * sum(best.values()) / unit
        replica_usd[b] -= price * (math.floor(alpha) + min(1.0, (alpha - math.floor(alpha)) / fraction))
    return price * (math.ceil(units) - units / fraction)


def _network_rent(problem: Problem, multipliers: Multipliers, site: int) -> float:
    rent = 0.0
    for price, limit in (
        (multipliers.uplink_usd[site], problem.uplink_mbps[site]),
        (multipliers.downlink_usd[site], problem.downlink_mbps[site]),
    ):
        rent += sum(usd * limit for usd in price if usd > 0)
    return float(rent)


def _at_most(value: Float, quarters: int) -> float:
    return float(value[: quarters + 1].max())


def _servers(problem: Problem, offer_usd: Float, site: int, gpu: int) -> list[tuple[int, float]]:
    """(GPUs, USD) of every count of every offer that fits under the site's limits."""
    offers = np.flatnonzero((problem.offer_site == site) & (problem.server_gpu[problem.offer_server] == gpu))
    found = []
    for counts in itertools.product(*(range(problem.offer_max[o] + 1) for o in offers)):
        use = np.array(counts, float) @ problem.server_use[problem.offer_server[offers]]
        if (use <= problem.site_limit[site] * (1 + 1e-9)).all():
            gpus = int(np.dot(counts, problem.server_gpus[problem.offer_server[offers]]))
            found.append((gpus, float(np.dot(counts, offer_usd[offers]))))
    return found


def _unit_values(problem: Problem, gain: Float, replica_usd: Float, site: int, gpu: int) -> list[Float]:
    """Best value by quarters used exactly, 0 quarters first; one for each slice where replicas follow the slices."""
    blocks = np.flatnonzero((problem.block_site == site) & (problem.shape_gpu[problem.block_shape] == gpu))
    stands = np.full(problem.blocks, -1) if problem.block_slice is None else problem.block_slice
    slices = np.arange(problem.slices)
    if not (stands[blocks] >= 0).any():
        return [_packed(problem, gain, replica_usd, [(int(b), slices) for b in blocks])]
    each = np.where(stands < 0, replica_usd / problem.slices, replica_usd)
    return [
        _packed(problem, gain, each, [(int(b), slices[t : t + 1]) for b in blocks if stands[b] in (-1, t)])
        for t in slices
    ]


def _packed(problem: Problem, gain: Float, replica_usd: Float, blocks: list[tuple[int, Int]]) -> Float:
    """Best value by quarters used exactly, of blocks that count in the given slices."""
    groups: dict[tuple[int, int], list[tuple[int, Int]]] = {}
    for b, slices in blocks:
        quarters = int(problem.shape_quarters[problem.block_shape[b]])
        choice = int(problem.block_choice[b])
        groups.setdefault((quarters, choice if choice >= 0 else -1 - b), []).append((b, slices))
    value = np.zeros(1)
    for (quarters, _), members in groups.items():
        most = max(int(problem.block_max[b]) for b, _ in members)
        grown = np.full(len(value) + quarters * most, -np.inf)
        grown[: len(value)] = value
        for y in range(1, most + 1):
            allowed = [(b, t) for b, t in members if problem.block_max[b] >= y]
            usd = max(block_value(problem, gain, b, y, t) - y * replica_usd[b] for b, t in allowed)
            at = slice(y * quarters, y * quarters + len(value))
            grown[at] = np.maximum(grown[at], value + usd)
        value = grown
    return value


def block_value(problem: Problem, gain: Float, block: int, replicas: int, slices: Int) -> float:
    """V_b(y) before replicas are paid: fractional knapsacks of the slices, greedy by gain a replica (Dantzig 1957)."""
    total = 0.0
    if replicas == 0:
        return total
    for t in slices:
        here = np.flatnonzero(
            (problem.pair_block == block) & (problem.demand_slice[problem.pair_demand] == t) & (gain > 0)
        )
        load = problem.pair_load[here]
        order = here[np.argsort(-gain[here] / np.maximum(load, 1e-12), kind="stable")]
        before = np.cumsum(problem.pair_load[order]) - problem.pair_load[order]
        room = np.maximum(problem.capacity_factor * replicas - before, 0.0)
        full = problem.pair_load[order] <= room
        share = np.where(full, 1.0, room / np.where(full, 1.0, problem.pair_load[order]))
        total += float(share @ gain[order])
    return total
