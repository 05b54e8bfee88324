"""The verifier of reference instances against a mixed-integer solver that shares nothing with it."""

import math
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp
from small_arrays import NO_CUTS, draw, least, model_of, optimum

from bench.arrays.bound import bound_usd
from bench.arrays.check import broken_matrix, broken_rows, cost_usd
from bench.arrays.instance import EdgeArrays, Matrix
from bench.arrays.planned import (
    ArrayPlan,
    CertificateArrays,
    CertificateFormError,
    CutArrays,
    GroupArrays,
    TreeArrays,
    load_solved,
    save_solved,
)
from bench.arrays.solve import plan_of
from bench.verify_arrays import verify
from solvers.instances.edge_arrays import edge_problem
from solvers.search import solve_scale

SEEDS = range(8)
NO_TREE = TreeArrays(*(np.empty(0, np.int64) for _ in range(5)))


def prices(arrays: EdgeArrays, rng: np.random.Generator, cuts: CutArrays = NO_CUTS) -> CertificateArrays:
    return CertificateArrays(
        demand_usd=arrays.demand * rng.uniform(10, 90, arrays.classes),
        uplink_usd=rng.uniform(0, 0.004, arrays.sites) * (rng.random(arrays.sites) < 0.5),
        limit_usd=rng.uniform(0, 15, 3) * (rng.random(3) < 0.5),
        budget=0.0,
        cut_usd=rng.uniform(0, 12, cuts.count),
        cuts=cuts,
        groups=(),
    )


def some_cuts(arrays: EdgeArrays, rng: np.random.Generator, sites: np.ndarray, count: int = 3) -> CutArrays:
    """Cuts of rows of one model each, on some blocks of the sites."""
    rows, blocks, units, weights = [], [], [], []
    while len(rows) < count:
        model = int(rng.integers(arrays.models))
        row = rng.permutation(np.flatnonzero(arrays.class_model == model))[: int(rng.integers(1, 5))]
        block = np.flatnonzero((rng.random(arrays.blocks) < 0.8) & np.isin(arrays.replica_site, sites))
        weight, unit = arrays.demand[row] * rng.uniform(0.7, 1.3, len(row)), float(rng.uniform(0.6, 1.4))
        if len(block) and 0.01 < weight.sum() / unit % 1 < 0.99:
            rows.append(row), blocks.append(block), units.append(unit), weights.append(weight)
    firsts = [np.concatenate([[0], np.cumsum([len(part) for part in parts])]) for parts in (rows, blocks)]
    return CutArrays(
        np.array(units), firsts[0], np.concatenate(rows), np.concatenate(weights), firsts[1], np.concatenate(blocks)
    )


def relaxed_usd(arrays: EdgeArrays, certificate: CertificateArrays) -> float:
    """The Lagrangian of the whole model by HiGHS: demand, uplink and stock rows priced, and the cuts as defined."""
    model, usd = model_of(arrays), arrays
    share = 4 * usd.sites + usd.blocks
    left = share + usd.pairs
    pi = np.minimum(certificate.demand_usd, usd.unserved_cost)
    pi = np.where(np.bincount(usd.pair_class, minlength=usd.classes) > 0, pi, usd.unserved_cost)
    cost = model.cost.copy()
    constant = 0.0
    plain = pi.copy()  # the price of the demand row itself
    for c in range(certificate.cuts.count):
        row, weight, block, unit = cut_of(certificate.cuts, c)
        price = float(certificate.cut_usd[c])
        whole = sum(map(Fraction, weight.tolist()), Fraction(0)) / Fraction(unit)
        rest = float(whole - math.floor(whole))
        constant += price * math.ceil(whole)
        for i, w in zip(row, weight, strict=True):
            plain[i] -= price * w / (unit * rest)
            cost[left + i] -= price * w / (unit * rest)
        for n in range(usd.pairs):
            if usd.pair_class[n] in row and usd.pair_block[n] not in block:
                w = float(weight[list(row).index(usd.pair_class[n])])
                cost[share + n] -= price * w / (unit * rest)
        for b in block:
            mine = [i for i in usd.pair_class[usd.pair_block == b] if i in row]
            alpha = max((float(weight[list(row).index(i)] / usd.demand[i]) / unit for i in mine), default=0.0)
            cost[4 * usd.sites + b] -= price * (math.floor(alpha) + min(1.0, (alpha - math.floor(alpha)) / rest))
    cost[share:left] -= plain[usd.pair_class]
    cost[left:] -= plain
    constant += float(plain.sum()) - float(certificate.limit_usd @ usd.inventory)
    cost[usd.sites : 4 * usd.sites] += np.tile(certificate.limit_usd, usd.sites)
    eta = 1000 * certificate.uplink_usd
    gbps = usd.demand[usd.pair_class] * usd.uplink_per_replica[usd.class_model[usd.pair_class]]
    cost[share:left] += eta[usd.pair_site] * gbps
    cost[: usd.sites] -= eta * usd.uplink
    return constant + least(_site_by_site(arrays, model), cost)[0]


def cut_of(cuts: CutArrays, c: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    part = slice(cuts.row_first[c], cuts.row_first[c + 1])
    return (
        cuts.row[part],
        cuts.weight[part],
        cuts.block[cuts.block_first[c] : cuts.block_first[c + 1]],
        float(cuts.unit[c]),
    )


def _site_by_site(arrays: EdgeArrays, model: Matrix) -> Matrix:
    """Without the rows that prices stand for: demand, uplink, stock; and an open site has a server."""
    sites, share = arrays.sites, 4 * arrays.sites + arrays.blocks
    priced = np.zeros(len(model.row_upper), bool)
    priced[: arrays.classes] = True
    priced[-3:] = True
    touches_share = np.asarray(abs(model.rows[:, share:]).sum(axis=1)).ravel() > 0
    touches_open = np.asarray(abs(model.rows[:, :sites]).sum(axis=1)).ravel() > 0
    kept = ~(priced | (touches_share & touches_open))
    filled = sp.lil_matrix((sites, model.rows.shape[1]))
    for p in range(sites):
        filled[p, p] = 1.0
        filled[p, sites + 3 * p : sites + 3 * p + 3] = -1.0
    return Matrix(
        model.cost,
        model.upper,
        model.integer,
        sp.vstack([model.rows[kept], filled]).tocsr(),
        np.concatenate([model.row_lower[kept], np.full(sites, -np.inf)]),
        np.concatenate([model.row_upper[kept], np.zeros(sites)]),
    )


@pytest.mark.parametrize("seed", SEEDS)
def test_prices_and_cuts_prove_exactly_the_relaxation_that_a_solver_finds(seed: int) -> None:
    arrays, rng = draw(seed), np.random.default_rng(seed + 100)
    for cuts in (NO_CUTS, some_cuts(arrays, rng, np.arange(arrays.sites))):
        certificate = prices(arrays, rng, cuts)
        expected = relaxed_usd(arrays, certificate)
        proved = bound_usd(arrays, certificate)
        assert proved == pytest.approx(expected, abs=1e-6)
        assert proved <= optimum(arrays)[0] + 1e-9


def random_group(arrays: EdgeArrays, rng: np.random.Generator, root: CertificateArrays) -> GroupArrays:
    """Some sites, with a tree of three branchings of every kind and prices of its own in all four leaves."""
    site = np.sort(rng.permutation(arrays.sites)[: int(rng.integers(1, 4))])
    row = np.unique(arrays.pair_class[np.isin(arrays.pair_site, site)]).astype(np.int64)
    block = np.flatnonzero(np.isin(arrays.replica_site, site))
    cuts = some_cuts(arrays, rng, site, 2) if len(block) > 3 else NO_CUTS
    tree = TreeArrays(
        kind=np.array([0, 1, 2]),
        index=np.array([rng.choice(site), 3 * rng.choice(site) + rng.integers(3), rng.choice(block)]),
        most=np.array([0, rng.integers(0, 2), rng.integers(0, 2)]),
        left=np.array([-1, -2, -3]),
        right=np.array([1, 2, -4]),
    )
    pi = np.minimum(root.demand_usd, arrays.unserved_cost)[row]
    leaf = pi * rng.uniform(0.6, 1.1, (4, len(row)))
    return GroupArrays(site, row, cuts, tree, leaf, rng.uniform(0, 5, (4, cuts.count)))


@pytest.mark.parametrize("seed", range(24))
def test_groups_never_prove_more_than_the_optimum(seed: int) -> None:
    arrays, rng = draw(seed), np.random.default_rng(seed + 200)
    root = prices(arrays, rng, some_cuts(arrays, rng, np.arange(arrays.sites)))
    certificate = replace(root, groups=(random_group(arrays, rng, root),))
    assert bound_usd(arrays, certificate) <= optimum(arrays)[0] + 1e-9


@pytest.mark.parametrize("seed", SEEDS)
def test_a_group_of_one_leaf_at_the_prices_of_the_root_changes_nothing(seed: int) -> None:
    arrays, rng = draw(seed), np.random.default_rng(seed)
    root = prices(arrays, rng)
    row = np.unique(arrays.pair_class).astype(np.int64)
    group = GroupArrays(np.arange(arrays.sites), row, NO_CUTS, NO_TREE, root.demand_usd[row][None], np.empty((1, 0)))
    assert bound_usd(arrays, replace(root, groups=(group,))) == pytest.approx(bound_usd(arrays, root), abs=1e-9)


def closed_or_full(arrays: EdgeArrays, plan: ArrayPlan, root: CertificateArrays) -> GroupArrays:
    """All sites in one group, whose tree tells at every site whether it is open: 2^P leaves at the root's prices."""
    sites, row = arrays.sites, np.arange(arrays.classes)
    nodes = 2**sites - 1
    depth = np.floor(np.log2(np.arange(1, nodes + 1))).astype(int)
    children = np.array([[2 * k + 1, 2 * k + 2] for k in range(nodes)])
    children = np.where(children >= nodes, nodes - children - 1, children)
    tree = TreeArrays(np.zeros(nodes, int), depth, np.zeros(nodes, int), children[:, 0], children[:, 1])
    leaves = 2**sites
    return GroupArrays(
        np.arange(sites), row, NO_CUTS, tree, np.tile(root.demand_usd, (leaves, 1)), np.empty((leaves, 0))
    )


@pytest.mark.parametrize("seed", SEEDS)
def test_telling_open_from_closed_proves_no_less_and_never_too_much(seed: int) -> None:
    arrays, rng = draw(seed), np.random.default_rng(seed)
    best, plan = optimum(arrays)
    root = prices(arrays, rng)
    proved = bound_usd(arrays, replace(root, groups=(closed_or_full(arrays, plan, root),)))
    assert bound_usd(arrays, root) - 1e-9 <= proved <= best + 1e-9


def one_site() -> EdgeArrays:
    """One class of 1.5 replicas of a whole GPU at one site; all that costs is a replica, 10 USD, and being unserved."""
    return EdgeArrays(
        open_cost=np.zeros(1), server_cost=np.zeros((1, 3)), replica_cost=np.array([10.0]), gpu_slots=np.array([4]),
        power_kw=np.array([9.0]), rack_units=np.array([9.0]), uplink=np.array([9.0]),
        uplink_per_replica=np.array([1.0]), gpus_per_replica=np.array([1.0]), unserved_cost=np.array([1000.0]),
        inventory=np.array([9.0, 9.0, 9.0]), demand=np.array([1.5]), class_model=np.array([0]),
        replica_site=np.array([0]), replica_model=np.array([0]), pair_class=np.array([0], np.int32),
        pair_site=np.array([0], np.int32), pair_cost=np.array([0.0]),
    )  # fmt: skip


def test_a_cut_lifts_one_and_a_half_replicas_to_two() -> None:
    """Without it prices prove 15 USD at most, Σ y ≥ 1.5; rounded up, y ≥ 2 at 10 USD proves the optimum."""
    arrays = one_site()
    flat = CertificateArrays(np.array([15.0]), np.zeros(1), np.zeros(3), 0.0, np.empty(0), NO_CUTS, ())
    assert bound_usd(arrays, flat) == pytest.approx(15.0)
    cut = CutArrays(np.array([1.0]), np.array([0, 1]), np.array([0]), np.array([1.5]), np.array([0, 1]), np.array([0]))
    # δ = 10 · 1.5 / (1 · 0.5) = 30 is what the demand row's price holds of the cut's.
    priced = replace(flat, demand_usd=np.array([30.0]), cut_usd=np.array([10.0]), cuts=cut)
    assert bound_usd(arrays, priced) == pytest.approx(20.0)
    assert optimum(arrays)[0] == pytest.approx(20.0)


def test_what_the_search_claims_is_proved(tmp_path: Path) -> None:
    for seed in range(3):
        arrays = draw(seed, sites=8, regions=6, models=3)
        problem = edge_problem(arrays.by_name())
        found = solve_scale(problem, work=4)
        assert found.placement is not None
        save_solved(tmp_path / "solved.npz", plan_of(problem, found.placement), found.certificate)
        verified = verify(arrays, *load_solved(tmp_path / "solved.npz"))
        assert verified.broken == ()
        assert verified.plan_usd == pytest.approx(found.objective_usd, rel=1e-12)
        best = optimum(arrays)[0]
        assert verified.bound_usd is not None
        assert found.bound_usd * (1 - 1e-9) <= verified.bound_usd <= best + 1e-9
        assert verified.plan_usd is not None
        assert verified.plan_usd >= best - 1e-6


TAMPERED: dict[str, Callable[[ArrayPlan], ArrayPlan]] = {
    "a server less": lambda p: replace(p, servers=p.servers - np.eye(1, p.servers.size, int(p.servers.argmax()))
                                       .reshape(p.servers.shape)),
    "half a server more": lambda p: replace(p, servers=p.servers + 0.5 * (p.servers == p.servers.max())),
    "a site closed": lambda p: replace(p, open=p.open * (np.arange(len(p.open)) != p.open.argmax())),
    "a replica less": lambda p: replace(p, replicas=p.replicas - (np.arange(len(p.replicas)) == p.replicas.argmax())),
    "a share more": lambda p: replace(p, share=np.where(np.arange(len(p.share)) == p.share.argmin(), 0.3, p.share)),
    "a share less": lambda p: replace(p, share=p.share * np.where(np.arange(len(p.share)) == p.share.argmax(), 0.9, 1)),
    "a share below 0": lambda p: replace(p, share=p.share - (p.share == 0) * 1e-3),
    "all unserved too": lambda p: replace(p, unserved=np.ones(len(p.unserved))),
    "nothing is told": lambda p: replace(p, unserved=p.unserved * np.nan),
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(TAMPERED))
def test_a_tampered_plan_is_caught_by_the_rows_and_by_the_matrix(name: str) -> None:
    for seed in range(2):
        arrays = draw(seed)
        plan = optimum(arrays)[1]
        assert broken_rows(arrays, plan, 1e-6) == []
        assert broken_matrix(model_of(arrays), plan, 1e-6) == []
        tampered = TAMPERED[name](plan)
        assert broken_rows(arrays, tampered, 1e-6) != []
        assert broken_matrix(model_of(arrays), tampered, 1e-6) != []


@pytest.mark.parametrize("seed", range(20))
def test_rows_and_matrix_agree_on_random_faults(seed: int) -> None:
    arrays, rng = draw(seed % 6), np.random.default_rng(seed)
    column = optimum(arrays)[1].column
    at = int(rng.integers(len(column)))
    column[at] += rng.choice([-1.0, 1.0, 0.25, -0.25])
    ends = np.cumsum([arrays.sites, 3 * arrays.sites, arrays.blocks, arrays.pairs])
    parts = np.split(column, ends)
    plan = ArrayPlan(parts[0], parts[1].reshape(-1, 3), *parts[2:])
    assert bool(broken_rows(arrays, plan, 1e-6)) == bool(broken_matrix(model_of(arrays), plan, 1e-6))
    assert cost_usd(arrays, plan) == pytest.approx(float(model_of(arrays).cost @ column), rel=1e-12)


REFUSED: dict[str, Callable[[CertificateArrays, EdgeArrays], CertificateArrays]] = {
    "a price too few": lambda c, _: replace(c, demand_usd=c.demand_usd[:-1]),
    "a price of a budget": lambda c, _: replace(c, budget=1.0),
    "a cut without a remainder": lambda c, a: replace(
        c, cut_usd=np.ones(1),
        cuts=CutArrays(np.array([0.5]), np.array([0, 1]), np.array([0]), np.array([1.0]), np.array([0, 1]),
                       np.array([0]))
    ),
    "a row twice in a cut": lambda c, a: replace(
        c, cut_usd=np.ones(1),
        cuts=CutArrays(np.array([1.0]), np.array([0, 2]), np.array([0, 0]), np.array([0.7, 0.8]), np.array([0, 1]),
                       np.array([0]))
    ),
    "two groups at a site": lambda c, a: replace(c, groups=2 * (one_leaf(c, np.array([0])),)),
    "a tree in a circle": lambda c, a: replace(c, groups=(replace(
        one_leaf(c, np.array([0])), tree=TreeArrays(*(np.array([v]) for v in (0, 0, 0, -1, 0)))),)),
    "a tree that counts another site": lambda c, a: replace(c, groups=(replace(
        one_leaf(c, np.array([0])), tree=TreeArrays(*(np.array([v]) for v in (0, 1, 0, -1, -1)))),)),
    "a leaf without prices": lambda c, a: replace(c, groups=(replace(
        one_leaf(c, np.array([0])), tree=TreeArrays(*(np.array([v]) for v in (0, 0, 0, -1, -2)))),)),
}  # fmt: skip


def one_leaf(certificate: CertificateArrays, site: np.ndarray) -> GroupArrays:
    none = np.empty(0, np.int64)
    return GroupArrays(site, none, NO_CUTS, NO_TREE, np.empty((1, 0)), np.empty((1, 0)))


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_a_certificate_that_proves_nothing_is_refused(name: str) -> None:
    arrays = draw(0)
    certificate = prices(arrays, np.random.default_rng(0))
    assert math.isfinite(bound_usd(arrays, certificate))
    with pytest.raises(CertificateFormError):
        bound_usd(arrays, REFUSED[name](certificate, arrays))
