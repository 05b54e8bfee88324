"""However few pairs are worked out at a time they are the same, and four bytes hold no more than eight."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scenes import built, only, with_keys
from test_order_of_rows import assert_same, everything, of

from placement.problem import routes, tariff
from solvers.check import violations
from solvers.rollout import one_period
from solvers.search import solve_rollout_scale

FAILING = {**with_keys("[reliability]", 'n_minus_1 = ["metro"]'), "domains.csv": "domain,site,kind\np,alpha,metro\n"}


def test_pairs_do_not_depend_on_how_many_are_worked_out_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = of(tmp_path / "one", everything())
    assert whole.rollout.periods[0].pairs >= 20
    monkeypatch.setattr(routes, "CELLS", 1)
    monkeypatch.setattr(routes, "STEP", 3)
    assert_same(whole, of(tmp_path / "other", everything()))


def test_of_many_pairs_loads_and_prices_are_rounded_down_and_plans_keep_the_rules_of_the_exact_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    exact = only(built(tmp_path / "one", FAILING))
    monkeypatch.setattr(tariff, "MANY_ROUTES", 0)
    short = only(built(tmp_path / "other", FAILING))
    for mine, all_of_it in ((short.pair_load, exact.pair_load), (short.pair_usd, exact.pair_usd)):
        assert mine.dtype == np.float32
        assert (mine <= all_of_it).all() and (mine >= all_of_it * (1 - 2e-7)).all()
    assert short.rules.reserve is not None and short.rules.reserve.pair_load is short.pair_load
    found = solve_rollout_scale(one_period(short), work=2, sweeps=30)
    assert found.placements is not None and found.placements[0].share.any()
    assert violations(exact, found.placements[0]) == []


@given(st.lists(st.floats(-1e30, 1e30), max_size=20))
def test_lowered_numbers_are_the_largest_of_four_bytes_that_are_not_above(values: list[float]) -> None:
    exact = np.array(values)
    short = tariff.lowered(exact)
    assert (short.astype(float) <= exact).all()
    assert (np.nextafter(short, np.float32(np.inf)).astype(float) > exact).all()
