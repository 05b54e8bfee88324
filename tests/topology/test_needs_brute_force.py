"""The worth of a measurement against the value of perfect information: the plan solved anew for every answer.

A pair's round trip matters only by which shapes it lets serve which class, so that its distribution falls into a few
bands. For every pair and band the exact solver plans once more as if the pair had been measured there. The value of
knowing is then, in the mean over the bands, what the plan in force costs in that band (what it serves too late is
unserved) less what the new plan costs.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy.stats import spearmanr

from bench.closed_loop.deciding import Decision, decide, true_cost_usd
from bench.closed_loop.knowledge import NOW_S, pairs_of
from bench.closed_loop.world import scenario
from placement.needs import needs
from placement.needs.belief import believe
from placement.problem import build_rollout
from placement.scenario import Scenario
from placement.topology.pairs import Pairs, State
from solvers.exact.solve import solve_exact

BEARABLE_MS = (30.0, 70.0, 80.0)
"""Where some class of the world gains or loses a shape: 110 or 150 ms less 40, 80, 70 or 120 ms to the first token."""
INSIDE_MS = (29.0, 69.0, 79.0, 500.0)
"""A round trip in each of the four bands."""


def drawn(shape: tuple[int, int], seed: int) -> Pairs:
    """A third of the pairs is measured; the others have intervals that reach over several bands."""
    draw = np.random.default_rng(seed)
    state = np.where(draw.random(shape) < 0.35, State.MEASURED, State.INFERRED)
    mid_ms = draw.uniform(25.0, 130.0, shape)
    wide = np.where(state == State.INFERRED, draw.uniform(1.2, 2.5, shape), 1.0)
    return pairs_of(state, mid_ms / wide, mid_ms, mid_ms * wide, seen_s=np.full(shape, NOW_S))


def value_of_knowing(world: Scenario, pairs: Pairs, plan: Decision, r: int, p: int) -> float:
    """USD a month that measuring one pair is worth in the mean."""
    belief = believe(pairs, np.zeros(pairs.rtt_state.shape), 0.0)
    below = [float(belief.chance(np.array(b), np.array(r), np.array(p))) for b in BEARABLE_MS]
    chances = np.diff([0.0, *below, 1.0])
    value = 0.0
    for chance, ms in zip(chances, INSIDE_MS, strict=True):
        if chance <= 0:
            continue
        known = measured(pairs, r, p, ms)
        as_planned = known.rtt_upper_ms  # the other pairs keep what they promise
        value += chance * (true_cost_usd(plan, as_planned) - _least_usd(world, known))
    return value


def _least_usd(world: Scenario, pairs: Pairs) -> float:
    return solve_exact(build_rollout(world, pairs).rollout.periods[0], gap=1e-4).objective_usd


def measured(pairs: Pairs, r: int, p: int, ms: float) -> Pairs:
    figures = {
        name: getattr(pairs, name).copy() for name in ("rtt_state", "rtt_lower_ms", "rtt_mid_ms", "rtt_upper_ms")
    }
    for name, array in figures.items():
        array[r, p] = State.MEASURED if name == "rtt_state" else ms
    return replace(pairs, **figures)


def test_pairs_rank_as_by_the_value_of_knowing_them(tmp_path: Path) -> None:
    shape, seed = (5, 5), 2
    world = scenario(tmp_path / "world", shape, seed, times=8.0)
    pairs = drawn(shape, seed)
    plan = decide(world, pairs, exact=True)
    wanted = needs(world, pairs, 0.0, plan.planned)
    ours = np.zeros(shape)
    for row in wanted.rows(wanted.order, NOW_S):
        ours[pairs.regions.index(row.region), pairs.sites.index(row.site)] = row.score
    asked = np.argwhere(pairs.rtt_state == State.INFERRED)
    truly = np.array([value_of_knowing(world, pairs, plan, int(r), int(p)) for r, p in asked])
    told = np.array([ours[r, p] for r, p in asked])
    assert (truly >= -1.0).all()  # knowing more costs nothing
    assert spearmanr(told, truly).statistic > 0.5
    best = np.argsort(-told, kind="stable")[: len(told) // 3]
    assert truly[best].sum() > 0.6 * np.sort(truly)[::-1][: len(best)].sum()
