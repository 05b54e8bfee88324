"""What a plan leaves is added to it; the lists of a site have room for each of its pairs once."""

import numpy as np

from solvers.bound import lagrangian_bound
from solvers.instances.tiny import random_tiny
from solvers.search.ground import ground_of
from solvers.search.grow import grow, merge
from solvers.search.moves import FINE, assign
from solvers.search.reference import refer
from solvers.search.snapshot import Snapshot, load_state, snapshot, unserved_share
from solvers.search.state import empty_state, new_work


def test_a_pair_that_is_listed_twice_is_listed_once() -> None:
    problem = random_tiny(1, single_source=False)
    ground, _ = ground_of(problem, lagrangian_bound(problem, sweeps=20).multipliers)
    site = int(np.argmax(np.diff(ground.item_first)))
    first, room = int(ground.item_first[site]), int(np.diff(ground.item_first)[site])
    assert room >= 3
    mine = np.flatnonzero(problem.pair_site == site)
    state = empty_state(ground)
    state.item[first : first + 3] = mine[[1, 0, 1]]
    state.share[first : first + 3] = [0.25, 0.5, 0.125]
    state.length[site] = 3
    merge(refer(ground), refer(state), site)
    assert state.length[site] == 2
    assert dict(zip(state.item[first : first + 2].tolist(), state.share[first : first + 2].tolist(), strict=True)) == {
        int(mine[0]): 0.5, int(mine[1]): 0.375,
    }  # fmt: skip


def test_growing_from_any_plan_never_lists_more_than_there_is_room_for_and_never_costs_more() -> None:
    grown = 0
    for seed in range(60):
        problem = random_tiny(seed, single_source=False)
        bound = lagrangian_bound(problem, sweeps=30)
        ground, sizes = ground_of(problem, bound.multipliers)
        state, work = load_state(ground, _nothing(ground)), new_work(ground, sizes)
        order, worth = np.arange(problem.sites), np.minimum(np.maximum(bound.multipliers.row_usd, 0), ground.penalty)
        before = snapshot(ground, state).usd
        for turn in range(4):
            left = unserved_share(ground, state)
            assign(refer(work), left, np.ones(problem.demands, np.bool_))
            work.room[:], work.money[1] = np.where(np.isfinite(problem.limit_rhs), problem.limit_rhs, np.inf), np.inf
            work.used[:] = problem.limit_matrix @ state.servers
            work.money[0] = float(state.usd.sum())
            grow(refer(ground), refer(state), refer(work), worth, order, FINE, turn)
            assert (state.length <= np.diff(ground.item_first)).all()
            owned = [state.item[a : a + n] for a, n in zip(ground.item_first[:-1], state.length, strict=True)]
            assert all((problem.pair_site[pairs] == p).all() for p, pairs in enumerate(owned))
            now = snapshot(ground, state).usd
            assert now <= before + 1e-6 * abs(before)
            grown += now < before
            before = now
    assert grown >= 30


def _nothing(ground) -> Snapshot:
    return snapshot(ground, empty_state(ground))
