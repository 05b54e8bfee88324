"""The verified bound against optima and priced problems that scipy's HiGHS solves from the equations alone."""

from functools import cache

import numpy as np
import pytest
from audit_oracle import Prices, World, limits, random_world, solved

from placement.audit import verify_bound

SEEDS = range(40)


@cache
def world(seed: int) -> World:
    return random_world(seed)


@cache
def optimum(seed: int) -> float:
    return solved(world(seed))


def names(told: World) -> dict[str, list]:
    table = told.scenario.table("demand")
    keys = list(zip(table["region"], table["model"], table["service"], table["slice"], strict=True))
    return {
        "keys": keys,
        "sites": list(told.scenario.table("sites")["site"]),
        "slices": sorted(set(table["slice"])),
        "limits": sorted({name for name, _, _ in limits(told)}),
    }


def random_prices(told: World, rng: np.random.Generator) -> Prices:
    """Prices of a sensible size: about what rows, wires, servers cost; some are zero."""
    listed = names(told)
    some, scale = rng.integers(0, 2, 4), rng.choice([0.1, 0.3, 1.0])
    wires = [(site, t) for site in listed["sites"] for t in listed["slices"]]
    return Prices(
        demand={key: float(scale * rng.uniform(-100, 6000)) for key in listed["keys"]},
        up={wire: float(some[0] * rng.uniform(0, 300)) for wire in wires},
        down={wire: float(some[1] * rng.uniform(0, 300)) for wire in wires},
        limit={name: float(some[2] * rng.uniform(0, 0.1 if "capex" in name else 300)) for name in listed["limits"]},
        budget=float(some[3] * rng.uniform(0, 1)),
    )


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
        "schema": np.array("nearserve-certificate-1"),
        "leaves": np.array(1),
        "demand_region": columns[0],
        "demand_model": columns[1],
        "demand_service": columns[2],
        "demand_slice": columns[3],
        "site": np.array(listed["sites"]),
        "slice": np.array(listed["slices"], np.str_),
        "limit": np.array(listed["limits"], np.str_),
        "leaf0_demand_usd": np.array([prices.demand[tuple(key)] for key in listed["keys"]]),
        "leaf0_uplink_usd": np.array([prices.up[wire] for wire in wires]).reshape(shape),
        "leaf0_downlink_usd": np.array([prices.down[wire] for wire in wires]).reshape(shape),
        "leaf0_limit_usd": np.array([prices.limit[name] for name in listed["limits"]], np.float64),
        "leaf0_budget": np.array(prices.budget),
        "leaf0_closed_sites": np.array([], np.str_),
        "leaf0_open_sites": np.array([], np.str_),
    }


@pytest.mark.parametrize("seed", SEEDS)
def test_the_bound_is_the_least_of_the_priced_problem_and_never_above_the_optimum(seed):
    told, rng = world(seed), np.random.default_rng(1000 + seed)
    prices = random_prices(told, rng)
    found = verify_bound(arrays(told, prices, rng), told.scenario, told.pairs)
    assert found.bound_usd_month is not None, found.reason
    expected = solved(told, prices)
    assert found.bound_usd_month == pytest.approx(expected, rel=1e-7, abs=1e-4)
    assert found.bound_usd_month <= optimum(seed) + 1e-7 * (1 + abs(optimum(seed)))
