"""A certificate with groups: any prices, cuts and trees prove a bound; the kernels are the formula; trees cover."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from thorough import seeds

from solvers.bound import lagrangian_bound
from solvers.bound.groups.evaluate import certified_usd
from solvers.bound.groups.prove import prove_groups
from solvers.bound.groups.reference import reference_certified_usd
from solvers.bound.start import cold_start
from solvers.exact import solve_exact
from solvers.instances.synthetic import synthetic
from solvers.instances.tiny import random_tiny
from solvers.instances.tiny_reserve import random_reserve
from solvers.instances.tiny_ruled import random_ruled
from solvers.problem import Problem
from solvers.relax import base_problem
from solvers.solution import (
    SPLIT_OPEN,
    SPLIT_REPLICAS,
    SPLIT_SERVERS,
    Backup,
    Certificate,
    Cuts,
    Group,
    GroupLeaf,
    Multipliers,
    Tree,
)

sys.path.insert(0, str(Path(__file__).parent))
from enumeration import optimum_usd


def tiny(seed: int) -> Problem:
    """All flavours: several slices, GPU types, choices, prices of replicas, replicas that follow the slices."""
    if seed % 4 == 3:
        return base_problem(random_ruled(seed, ["following"], single_source=False))
    return random_tiny(seed, single_source=False, replica_price=seed % 2 == 0)


def wild(problem: Problem, draw: np.random.Generator) -> Certificate:
    """Any certificate at all: prices, cuts, a grouping and trees drawn at random."""
    root_cuts = some_cuts(problem, np.arange(problem.sites), draw)
    shape = (problem.sites, max(problem.slices, 1))

    def prices(limit: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
        usd = draw.exponential(1, size) * (draw.random(size) < 0.5)
        return np.where(np.isfinite(limit.reshape(-1, *[1] * (len(size) - 1))), usd, 0.0)

    at = Multipliers(
        draw.exponential(20, problem.demands) * draw.choice([-0.1, 0, 1, 3], problem.demands, p=[0.1, 0.1, 0.6, 0.2]),
        prices(problem.uplink_mbps, shape),
        prices(problem.downlink_mbps, shape),
        prices(problem.limit_rhs, (len(problem.limit_rhs),)),
        float(draw.exponential(0.3)) if np.isfinite(problem.monthly_budget_usd) else 0.0,
        draw.exponential(2, root_cuts.count),
    )
    label = draw.integers(0, 3, problem.sites)
    sites = [np.flatnonzero(label == k) for k in (0, 1)]
    return Certificate(at, root_cuts, tuple(some_group(problem, of, draw) for of in sites if len(of)))


def some_cuts(problem: Problem, sites: np.ndarray, draw: np.random.Generator) -> Cuts:
    """Up to two cuts whose weights do not add up to whole units, on blocks of `sites` whose pairs all have a load."""
    unloaded = problem.pair_block[problem.pair_load <= 0]
    usable = np.setdiff1d(np.flatnonzero(np.isin(problem.block_site, sites)), unloaded)
    usable = np.intersect1d(usable, problem.pair_block)
    found: list[tuple[float, np.ndarray, np.ndarray, np.ndarray]] = []
    for _ in range(int(draw.integers(0, 3))):
        rows = np.unique(problem.pair_demand[np.isin(problem.pair_site, sites)])
        rows = rows[draw.random(len(rows)) < 0.6]
        blocks = usable[draw.random(len(usable)) < 0.7]
        weight = draw.uniform(0.1, 2, len(rows))
        unit = float(draw.uniform(0.2, 1.5))
        if len(rows) and 0.01 < weight.sum() / unit % 1 < 0.99:
            found.append((unit, rows, weight, blocks))
    if not found:
        return Cuts()
    return Cuts(
        np.array([unit for unit, *_ in found]),
        np.cumsum([0, *(len(rows) for _, rows, _, _ in found)]),
        np.concatenate([rows for _, rows, _, _ in found]),
        np.concatenate([weight for _, _, weight, _ in found]),
        np.cumsum([0, *(len(blocks) for *_, blocks in found)]),
        np.concatenate([blocks for *_, blocks in found]),
    )


def some_group(problem: Problem, sites: np.ndarray, draw: np.random.Generator) -> Group:
    """A random tree of up to six branchings, with random prices in its leaves."""
    pairs = np.isin(problem.pair_site, sites)
    rows = np.unique(problem.pair_demand[pairs])
    blocks = np.unique(problem.pair_block[pairs])
    offers = np.flatnonzero(np.isin(problem.offer_site, sites))
    useful = {(int(problem.block_site[b]), int(problem.shape_gpu[problem.block_shape[b]])) for b in blocks}
    offers = [o for o in offers if (problem.offer_site[o], problem.server_gpu[problem.offer_server[o]]) in useful]
    kinds, index, most, left, right = [], [], [], [], []
    open_ends = [(-1, False)]
    choices = [(SPLIT_OPEN, int(p), 0) for p in sites]
    choices += [(SPLIT_SERVERS, int(o), int(draw.integers(0, 3))) for o in offers]
    choices += [(SPLIT_REPLICAS, int(b), int(draw.integers(0, 3))) for b in blocks]
    for n in range(int(draw.integers(0, 7))):
        node, side = open_ends.pop(int(draw.integers(0, len(open_ends))))
        what = choices[int(draw.integers(0, len(choices)))]
        for column, value in zip((kinds, index, most), what, strict=True):
            column.append(value)
        left.append(0)
        right.append(0)
        if node >= 0:
            (right if side else left)[node] = n
        open_ends += [(n, False), (n, True)]
    for k, (node, side) in enumerate(open_ends):
        if node >= 0:
            (right if side else left)[node] = -1 - k
    cuts = some_cuts(problem, sites, draw)
    leaves = tuple(
        GroupLeaf(draw.exponential(20, len(rows)), draw.exponential(2, cuts.count)) for _ in range(len(open_ends))
    )
    return Group(sites, rows, cuts, Tree(*(np.array(c, np.int64) for c in (kinds, index, most, left, right))), leaves)


@pytest.mark.parametrize("seed", seeds(range(150), range(60)))
def test_any_prices_cuts_and_trees_prove_a_bound_below_the_optimum(seed: int) -> None:
    problem = tiny(seed)
    optimum = optimum_usd(problem)
    for k in range(3):
        bound = certified_usd(problem, wild(problem, np.random.default_rng([seed, k])))
        assert bound <= optimum + 1e-7 * max(1, abs(optimum))


@pytest.mark.parametrize("seed", seeds(range(80), range(40)))
def test_the_kernels_are_the_formula(seed: int) -> None:
    problem = tiny(seed)
    for k in range(2):
        certificate = wild(problem, np.random.default_rng([seed, k]))
        assert certified_usd(problem, certificate) == pytest.approx(
            reference_certified_usd(problem, certificate), rel=1e-9, abs=1e-7
        )


@pytest.mark.parametrize("seed", seeds(range(80), range(40)))
def test_what_branching_proves_is_proved_by_its_certificate_and_below_the_optimum(seed: int) -> None:
    problem = tiny(seed)
    optimum = optimum_usd(problem)
    result = prove_groups(problem, Certificate(cold_start(problem)), work=3, threads=1)
    assert result.bound_usd <= optimum + 1e-7 * max(1, abs(optimum))
    assert reference_certified_usd(problem, result.certificate) == pytest.approx(result.bound_usd, rel=1e-9, abs=1e-7)


def leaf_of(problem: Problem, group: Group, counts: dict[int, np.ndarray]) -> list[int]:
    """Every leaf whose path the counts (by kind of branching) keep to, found by walking down all of it."""
    found, waiting = [], [(0 if len(group.tree.kind) else -1, True)]
    while waiting:
        node, kept = waiting.pop()
        if node < 0:
            found += [-1 - node] if kept else []
            continue
        kind, index = int(group.tree.kind[node]), int(group.tree.index[node])
        count = counts[kind][index]
        waiting.append((int(group.tree.left[node]), kept and count <= group.tree.most[node]))
        waiting.append((int(group.tree.right[node]), kept and count > group.tree.most[node]))
    return found


@pytest.mark.parametrize("seed", range(6))
def test_every_count_of_everything_falls_in_exactly_one_leaf(seed: int) -> None:
    problem = synthetic(4, 4, 2, seed=seed)
    result = prove_groups(problem, Certificate(cold_start(problem)), work=2, threads=1)
    draw = np.random.default_rng(seed)
    for group in result.certificate.groups:
        reached = set()
        for _ in range(200):
            counts = {
                SPLIT_OPEN: draw.integers(0, 2, problem.sites),
                SPLIT_SERVERS: draw.integers(0, problem.offer_max + 1),
                SPLIT_REPLICAS: draw.integers(0, problem.block_max + 1),
            }
            leaves = leaf_of(problem, group, counts)
            assert len(leaves) == 1
            reached.add(leaves[0])
        assert max(reached) < len(group.leaves)


def test_one_thread_and_two_give_the_same_bytes() -> None:
    problem = synthetic(5, 5, 2, seed=4, slices=2)
    one, two = (prove_groups(problem, Certificate(cold_start(problem)), work=1, threads=n) for n in (1, 2))
    assert one.bound_usd == two.bound_usd
    assert len(one.certificate.groups) == len(two.certificate.groups) > 0
    for a, b in zip(one.certificate.groups, two.certificate.groups, strict=True):
        assert [leaf.demand_usd.tobytes() for leaf in a.leaves] == [leaf.demand_usd.tobytes() for leaf in b.leaves]
        assert a.tree.index.tobytes() == b.tree.index.tobytes()


@pytest.mark.parametrize("seed", range(12))
def test_a_few_sites_are_closed_entirely_where_only_demand_is_relaxed(seed: int) -> None:
    """One GPU type, servers as large as any replica, no wires, no limits."""
    problem = random_tiny(seed, single_source=False, replica_price=True)
    problem = replace(
        problem,
        uplink_mbps=np.full(problem.sites, np.inf),
        downlink_mbps=np.full(problem.sites, np.inf),
        limit_rhs=np.full(len(problem.limit_rhs), np.inf),
        monthly_budget_usd=np.inf,
        shape_gpu=np.zeros_like(problem.shape_gpu),
        server_gpu=np.zeros_like(problem.server_gpu),
        shape_quarters=np.minimum(problem.shape_quarters, 4),
        unserved_usd=np.where(np.isfinite(problem.unserved_usd), problem.unserved_usd, 80.0),
    )
    optimum = optimum_usd(problem)
    root = lagrangian_bound(problem, sweeps=300, threads=1).certificate
    result = prove_groups(problem, root, work=12, threads=1)
    assert result.bound_usd == pytest.approx(optimum, rel=2e-3)


def test_failure_rows_of_a_certificate_are_left_out_with_the_cuts_that_take_them() -> None:
    """Cuts on failure rows number rows beyond the problem's own; groups are those of the normal day."""
    for seed in range(12):
        problem = base_problem(random_reserve(seed), counted=True)
        found = lagrangian_bound(problem, sweeps=60, cuts=False).certificate
        one, first = np.ones(1), np.array([0, 1])
        cuts = Cuts(1.3 * one, first, np.array([problem.demands]), one, first, np.zeros(1, np.int64))
        backup = Backup(np.zeros(1, np.int64), np.zeros(1, np.int64), one)
        priced = Certificate(replace(found.multipliers, cut_usd=one, backup=backup), cuts)
        grown = prove_groups(problem, priced, work=2)
        assert grown.certificate.cuts.count == 0
        best = solve_exact(problem, gap=1e-9)
        if best.placement is not None:
            assert grown.bound_usd <= best.objective_usd + 1e-6, seed
