"""Which failures strain what the relaxation chose: kernels and sparse products against plain loops."""

import numpy as np
import pytest

from solvers.bound.backup import secured, standing
from solvers.bound.backup_choice import strain
from solvers.instances.tiny_reserve import random_reserve
from solvers.problem import Problem


def chosen(problem: Problem, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Shares and replicas as a relaxation might have them."""
    chance = np.random.default_rng(seed)
    shares = chance.random(problem.pairs) * (chance.random(problem.pairs) < 0.6)
    return shares, chance.integers(0, 4, problem.blocks).astype(float)


@pytest.mark.parametrize("seed", range(30))
def test_a_row_that_no_failure_can_lose_has_a_backup_outside_or_no_pair_inside(seed: int) -> None:
    problem = random_reserve(seed)
    reserve = problem.rules.reserve
    assert reserve is not None
    for e, inside in enumerate(reserve.domain_site):
        for i in range(problem.demands):
            spare = problem.block_site[reserve.pair_block[reserve.pair_demand == i]]
            own = problem.block_site[problem.pair_block[problem.pair_demand == i]]
            assert secured(problem)[e, i] == (bool((~inside[spare]).any()) or not inside[own].any())


@pytest.mark.parametrize("seed", range(30))
def test_a_failure_strains_what_it_takes_and_what_stands_where_that_would_go(seed: int) -> None:
    problem = random_reserve(seed)
    reserve = problem.rules.reserve
    assert reserve is not None
    shares, replicas = chosen(problem, seed)
    pairs = list(zip(*standing(problem, reserve), strict=True))
    domains, found = strain(problem, reserve, np.ones(problem.demands), shares, replicas)
    for e, inside in enumerate(reserve.domain_site):
        down = inside[problem.block_site]
        lost = np.bincount(problem.pair_demand, shares * down[problem.pair_block], problem.demands)
        if not lost.any():
            assert e not in domains
            continue
        wanted = np.zeros((problem.blocks, problem.slices))
        for i in range(problem.demands):
            outside = [(block, load) for row, block, load in pairs if row == i and not down[block]]
            room = sum(replicas[block] for block, _ in outside)
            for block, load in outside if room > 0 else ():
                wanted[block, problem.demand_slice[i]] += load * lost[i] / room
        strained = lost.copy()
        for i, block, share in zip(problem.pair_demand, problem.pair_block, shares, strict=True):
            strained[i] += share * min(wanted[block, problem.demand_slice[i]], 1.0)
        assert found[domains.tolist().index(e)] == pytest.approx(strained)
