"""The verified bound against optima and priced problems that scipy's HiGHS solves from the equations alone."""

import numpy as np
import pytest
from audit_arrays import nothing_more
from audit_oracle import (
    FEATURES,
    ONE_GPU,
    OWN_ROOM,
    SHARED,
    Prices,
    World,
    expected_bound,
    names,
    optimum,
    random_prices,
    world,
)

from placement.audit import verify_bound


def arrays(told: World, prices: dict[str, Prices], rng: np.random.Generator | None = None) -> dict[str, np.ndarray]:
    """A certificate of the prices; names in a random order when `rng` is given."""
    periods = list(prices)
    listed = {period: names(told, period) for period in periods}
    common = {name: list(listed[periods[0]][name]) for name in ("sites", "slices")}
    if rng is not None:
        for values in (
            periods,
            *common.values(),
            *(rows[name] for rows in listed.values() for name in ("keys", "limits")),
        ):
            rng.shuffle(values)
    shape = (len(common["sites"]), len(common["slices"]))
    wires = [(site, t) for site in common["sites"] for t in common["slices"]]
    found = {
        "schema": np.array("nearserve-certificate-6"),
        "period": np.array(periods, np.str_),
        "site": np.array(common["sites"]),
        "slice": np.array(common["slices"], np.str_),
    }
    for h, period in enumerate(periods):
        keys, limits = [tuple(key) for key in listed[period]["keys"]], listed[period]["limits"]
        columns, of_period = np.array(keys).T, prices[period]
        part = {
            "demand_region": columns[0],
            "demand_model": columns[1],
            "demand_service": columns[2],
            "demand_slice": columns[3],
            "limit": np.array(limits, np.str_),
            **nothing_more(),
            "demand_usd": np.array([of_period.demand[key] for key in keys]),
            "uplink_usd": np.array([of_period.up[wire] for wire in wires]).reshape(shape),
            "downlink_usd": np.array([of_period.down[wire] for wire in wires]).reshape(shape),
            "limit_usd": np.array([of_period.limit[name] for name in limits], np.float64),
            "budget": np.array(of_period.budget),
        }
        found |= {f"p{h}_{name}": value for name, value in part.items()}
    return found


@pytest.mark.parametrize("seed", ONE_GPU, ids=lambda seed: "-".join(FEATURES[seed // 1000] or ("base",)) + f"-{seed}")
def test_the_bound_is_the_least_of_the_priced_problem_and_never_above_the_optimum(seed):
    told, prices = world(seed), random_prices(seed)
    found = verify_bound(arrays(told, prices, np.random.default_rng(seed)), told.scenario, told.pairs)
    assert found.bound_usd_month is not None, found.reason
    assert found.bound_usd_month == pytest.approx(expected_bound(seed), rel=1e-7, abs=1e-4)
    assert found.bound_usd_month <= optimum(seed) + 1e-7 * (1 + abs(optimum(seed)))


@pytest.mark.parametrize("seed", SHARED)
def test_with_gpu_types_or_tenants_that_share_power_the_bound_is_still_below_the_priced_problem(seed):
    told, prices = world(seed), random_prices(seed)
    found = verify_bound(arrays(told, prices), told.scenario, told.pairs)
    assert found.bound_usd_month is not None, found.reason
    assert found.bound_usd_month <= expected_bound(seed) + 1e-7 * (1 + abs(expected_bound(seed)))
    assert found.bound_usd_month <= optimum(seed) + 1e-7 * (1 + abs(optimum(seed)))


@pytest.mark.parametrize("seed", OWN_ROOM)
def test_tenants_that_share_neither_power_nor_units_are_bought_for_exactly(seed):
    told, prices = world(seed), random_prices(seed)
    found = verify_bound(arrays(told, prices), told.scenario, told.pairs)
    assert found.bound_usd_month == pytest.approx(expected_bound(seed), rel=1e-7, abs=1e-4)
