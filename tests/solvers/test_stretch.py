"""What stretches of sites say together is what all sites say, whatever the prices, cuts and covers."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp
from scipy.sparse.csgraph import connected_components
from test_bound_backup import _all_failures
from test_bound_covers import _random_covers
from test_bound_cuts import draw_cuts
from test_candidates import one_array, picked
from test_lagrangian import draw

from solvers.bound.ascent import Course
from solvers.bound.backup import joined, secured, with_failures
from solvers.bound.evaluate import Evaluator, evaluate
from solvers.bound.groups.grouping import components
from solvers.bound.layout import layout_of
from solvers.bound.stretch import Stretches, site_pairs
from solvers.bound.wide import _Widening
from solvers.instances.tiny import random_tiny
from solvers.instances.tiny_reserve import random_reserve
from solvers.problem import Problem
from solvers.solution import Backup, Certificate, Covers


def _any_certificate(problem: Problem, seed: int) -> Certificate:
    rng = np.random.default_rng([seed, 3])
    secure = secured(problem)
    domain, row = _all_failures(problem)
    some = (rng.random(len(row)) < 0.6) & secure[domain, row]
    backup = Backup(domain[some], row[some], rng.exponential(20, int(some.sum())))
    cuts, covers = draw_cuts(problem, seed), _random_covers(problem, rng) or Covers()
    prices = replace(
        draw(problem, seed), backup=backup, cut_usd=rng.exponential(5, cuts.count),
        cover_usd=rng.exponential(5, covers.count),
    )  # fmt: skip
    return Certificate(prices, cuts, covers=covers)


def _taken(problem: Problem, known: Certificate) -> tuple[set[int], set[tuple[int, int]]]:
    """The pairs that the answer of the whole takes, by number, and the (row, block) of those of failures."""
    survivors = with_failures(problem, known.multipliers.backup.domain, known.multipliers.backup.row)
    layout = layout_of(survivors.problem)
    with Evaluator(layout, 1, known.cuts, survivors, known.covers) as evaluator:
        answer = evaluator.sweep(joined(problem, known.multipliers, survivors)).answer
    item = np.concatenate([
        answer.item[first : first + count] for first, count in zip(answer.item_first, answer.item_count, strict=False)
    ])  # fmt: skip
    pair = layout.structure.pair[item]
    whole = survivors.problem
    mine, others = pair[pair < problem.pairs], pair[pair >= problem.pairs]
    rows = survivors.whose[whole.pair_demand[others]].tolist()
    return set(mine.tolist()), set(zip(rows, whole.pair_block[others].tolist(), strict=True))


@pytest.mark.parametrize("shared", [False, True])
def test_stretches_prove_what_all_sites_prove_and_take_what_these_take(
    monkeypatch: pytest.MonkeyPatch, shared: bool
) -> None:
    taken = several = 0
    for seed in range(60):
        problem = one_array(random_reserve(seed)) if shared else random_reserve(seed)
        known = _any_certificate(problem, seed)
        reserve, prices = problem.rules.reserve, known.multipliers
        assert reserve is not None
        proved = evaluate(problem, prices, known.cuts, covers=known.covers)
        pairs, spares = _taken(problem, known)
        few = picked(problem, seed)
        found = []
        for most, threads in ((1, 1), (3, 2), (3, 1), (10**6, 1)):
            monkeypatch.setattr("solvers.bound.wide.STRETCH_PAIRS", most)
            wide = _Widening(problem, few, Course(1), threads)
            before, spare = wide.kept.copy(), wide.spare.copy()
            wide._ask(known, take=True)
            found.append(wide.best_usd)
            assert wide.best_usd == pytest.approx(proved, rel=1e-9, abs=1e-9), seed
            expected = set(np.flatnonzero(before).tolist()) | pairs
            backed = zip(reserve.pair_demand.tolist(), reserve.pair_block.tolist(), strict=True)
            others = {z for z, place in enumerate(backed) if spare[z] or place in spares}
            if shared:
                expected = others = expected | others
            assert set(np.flatnonzero(wide.kept).tolist()) == expected, seed
            assert set(np.flatnonzero(wide.spare).tolist()) == others, seed
            several += most == 1 and len(list(wide.stretches)) > 1
        assert found[1] == found[2]
        taken += bool(pairs) and bool(spares)
    assert taken > 10
    assert several > 30


def test_a_price_of_what_a_failure_may_lose_is_refused() -> None:
    refused = 0
    for seed in range(30):
        problem = random_reserve(seed)
        domain, row = np.nonzero(~secured(problem))
        if not len(row):
            continue
        refused += 1
        prices = replace(draw(problem, seed), backup=Backup(domain[:1], row[:1], np.ones(1)))
        with pytest.raises(ValueError, match="may lose"):
            _Widening(problem, picked(problem, seed), Course(1), 1)._ask(Certificate(prices), take=False)
    assert refused > 3


def test_stretches_hold_every_pair_once_and_no_more_than_asked() -> None:
    for seed in range(60):
        problem = replace(random_reserve(seed), replica_usd=None)
        stretches, seen = Stretches(problem, 4), np.zeros(problem.pairs, np.int64)
        for first, last in stretches:
            part = stretches.stretch(first, last)
            assert part.problem.pairs <= 4 or last - first == 1
            at = np.arange(part.problem.pairs) + part.pair_back[part.problem.pair_demand]
            seen[at] += 1
            assert (problem.pair_demand[at] == part.problem.pair_demand).all()
            assert (problem.pair_block[at] == part.problem.pair_block + part.block_back).all()
            assert (problem.pair_usd[at] == part.problem.pair_usd).all()
            assert (problem.pair_load[at] == part.problem.pair_load).all()
        assert (seen == 1).all()


def test_sites_that_share_rows_are_one_component() -> None:
    for seed in range(60):
        problem = random_tiny(seed)
        ends = (problem.pair_site, problem.sites + problem.pair_demand)
        graph = sp.csr_matrix((np.ones(problem.pairs), ends), (problem.sites + problem.demands,) * 2)
        label = connected_components(graph, directed=False)[1][: problem.sites]
        used = np.unique(problem.pair_site)
        expected = sorted(
            (used[label[used] == k].tolist() for k in np.unique(label[used])), key=lambda p: (-len(p), p[0])
        )
        assert [sites.tolist() for sites in components(problem)] == expected
        assert site_pairs(problem).tolist() == np.bincount(problem.pair_site, minlength=problem.sites).tolist()
