"""The verified bound against optima and priced problems that scipy's HiGHS solves from the equations alone."""

import numpy as np
import pytest
from audit_oracle import Prices, World, expected_bound, names, optimum, random_prices, world

from placement.audit import verify_bound

SEEDS = range(40)


def arrays(told: World, prices: Prices, rng: np.random.Generator | None = None) -> dict[str, np.ndarray]:
    """A certificate of the prices; names in a random order when `rng` is given."""
    listed = names(told)
    if rng is not None:
        for values in listed.values():
            rng.shuffle(values)
    columns = np.array(listed["keys"]).T
    shape = (len(listed["sites"]), len(listed["slices"]))
    wires = [(site, t) for site in listed["sites"] for t in listed["slices"]]
    return {
        "schema": np.array("nearserve-certificate-2"),
        "period": np.array([""]),
        "p0_leaves": np.array(1),
        "p0_demand_region": columns[0],
        "p0_demand_model": columns[1],
        "p0_demand_service": columns[2],
        "p0_demand_slice": columns[3],
        "site": np.array(listed["sites"]),
        "slice": np.array(listed["slices"], np.str_),
        "p0_limit": np.array(listed["limits"], np.str_),
        "p0_leaf0_demand_usd": np.array([prices.demand[tuple(key)] for key in listed["keys"]]),
        "p0_leaf0_uplink_usd": np.array([prices.up[wire] for wire in wires]).reshape(shape),
        "p0_leaf0_downlink_usd": np.array([prices.down[wire] for wire in wires]).reshape(shape),
        "p0_leaf0_limit_usd": np.array([prices.limit[name] for name in listed["limits"]], np.float64),
        "p0_leaf0_budget": np.array(prices.budget),
        "p0_leaf0_closed_sites": np.array([], np.str_),
        "p0_leaf0_open_sites": np.array([], np.str_),
    }


@pytest.mark.parametrize("seed", [*SEEDS, *range(200, 210)])
def test_the_bound_is_the_least_of_the_priced_problem_and_never_above_the_optimum(seed):
    told, prices = world(seed), random_prices(seed)
    found = verify_bound(arrays(told, prices, np.random.default_rng(seed)), told.scenario, told.pairs)
    assert found.bound_usd_month is not None, found.reason
    assert found.bound_usd_month == pytest.approx(expected_bound(seed), rel=1e-7, abs=1e-4)
    assert found.bound_usd_month <= optimum(seed) + 1e-7 * (1 + abs(optimum(seed)))


@pytest.mark.parametrize("seed", range(100, 115))
def test_with_two_gpu_types_that_share_power_the_bound_is_still_below_the_priced_problem(seed):
    told, prices = world(seed), random_prices(seed)
    found = verify_bound(arrays(told, prices), told.scenario, told.pairs)
    assert found.bound_usd_month is not None, found.reason
    assert found.bound_usd_month <= expected_bound(seed) + 1e-7 * (1 + abs(expected_bound(seed)))
    assert found.bound_usd_month <= optimum(seed) + 1e-7 * (1 + abs(optimum(seed)))
