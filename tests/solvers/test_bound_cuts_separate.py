"""Cuts are found where replicas stand for less than whole numbers of them, and the bound rises by them."""

import math

import numpy as np
import pytest
from small import two_rows

from solvers.bound import lagrangian_bound
from solvers.bound.ascent import Averages
from solvers.bound.evaluate import Evaluator
from solvers.bound.layout import Layout, layout_of
from solvers.bound.separate import Means, separate
from solvers.bound.start import cold_start
from solvers.bound.steps import Steps
from solvers.instances.synthetic import synthetic
from solvers.solution import Cuts


def test_three_quarters_of_a_replica_at_each_of_two_sites_are_cut_off() -> None:
    layout = layout_of(two_rows())
    found = separate(layout, Means(np.full(4, 0.5), np.full(2, 0.75)), np.full(2, 6.0), 10, threads=1)
    assert found.count == 1
    assert found.row.tolist() == [0, 1]
    assert found.weight.tolist() == [0.75, 0.75]
    assert found.block.tolist() == [0, 1]
    assert found.unit.tolist() == [1.0]


def test_whole_replicas_are_not_cut_off() -> None:
    layout = layout_of(two_rows())
    assert separate(layout, Means(np.full(4, 0.5), np.ones(2)), np.full(2, 6.0), 10, threads=1).count == 0


def test_the_bound_rises_to_the_two_servers_that_must_stand() -> None:
    without, found = (lagrangian_bound(two_rows(), sweeps=700, threads=1, cuts=c).bound_usd for c in (False, True))
    assert without == pytest.approx(12.0, abs=0.01)
    assert found == pytest.approx(16.0, abs=0.1)


def averaged(layout: Layout) -> tuple[Means, np.ndarray]:
    """What 200 sweeps choose on average after the first 80, and their last prices."""
    with Evaluator(layout, 1) as evaluator:
        now, means = cold_start(layout.problem), Averages(evaluator)
        steps = Steps(evaluator, now)
        for k in range(200):
            swept = evaluator.sweep(now)
            if k >= 80:
                means.add(swept)
            now = steps.step(now, swept, 0.12 / 120 ** (k / 200))
    return Means(means.share / means.weight, means.replicas / means.weight), now.demand_usd


def violation(layout: Layout, cuts: Cuts, c: int, means: Means) -> float:
    """By loops over all pairs of the problem, for rows that are served once."""
    problem, structure = layout.problem, layout.structure
    share = dict(zip(structure.pair.tolist(), means.share.tolist(), strict=True))
    rows = slice(cuts.row_first[c], cuts.row_first[c + 1])
    weight = dict(zip(cuts.row[rows].tolist(), cuts.weight[rows].tolist(), strict=True))
    units = sum(weight.values()) / cuts.unit[c]
    fraction = units - math.floor(units)
    result = math.ceil(units) - units / fraction
    for b in cuts.block[cuts.block_first[c] : cuts.block_first[c + 1]].tolist():
        held, best = 0.0, 0.0
        for n in np.flatnonzero(problem.pair_block == b).tolist():
            w = weight.get(int(problem.pair_demand[n]), 0.0)
            held += w * share[n]
            best = max(best, w / float(problem.pair_load[n]))
        alpha = problem.capacity_factor * best / cuts.unit[c]
        rounded = math.floor(alpha) + min(1.0, (alpha - math.floor(alpha)) / fraction)
        result += held / (cuts.unit[c] * fraction) - rounded * float(means.replicas[b])
    return float(result)


@pytest.mark.parametrize("seed", range(4))
def test_every_cut_found_is_broken_by_the_averages(seed: int) -> None:
    layout = layout_of(synthetic(12, 10, 2, seed=seed, slices=1 + seed % 2, sizes=1 + seed // 2, points=1))
    means, demand_usd = averaged(layout)
    found = separate(layout, means, demand_usd, 50, threads=1)
    assert found.count > 0
    for c in range(found.count):
        assert violation(layout, found, c, means) > 0.01


def test_a_warm_start_from_a_certificate_keeps_its_cuts_and_its_bound() -> None:
    problem = synthetic(12, 10, 2, seed=1)
    first = lagrangian_bound(problem, sweeps=700, threads=1)
    assert first.certificate.cuts.count > 0
    again = lagrangian_bound(problem, sweeps=1, threads=1, start=first.certificate)
    assert again.bound_usd == pytest.approx(first.bound_usd, rel=1e-9)


def test_a_course_that_was_interrupted_is_repeated_by_its_count() -> None:
    problem = synthetic(12, 10, 2, seed=2)
    calls = iter(range(1000))
    cut_off = lagrangian_bound(problem, sweeps=700, threads=1, interrupted=lambda: next(calls) >= 410)
    assert cut_off.sweeps == 411
    again = lagrangian_bound(problem, sweeps=700, threads=2, stop=cut_off.sweeps)
    assert again.bound_usd == cut_off.bound_usd
    assert again.multipliers.cut_usd.tobytes() == cut_off.multipliers.cut_usd.tobytes()
