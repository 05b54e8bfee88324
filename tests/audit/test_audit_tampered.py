"""A certificate is refused or proves no more than the optimum, whatever is in it; also where a liar climbs uphill.

The optimum is that of `audit_model`, written from the equations for another solver, N-1 with all its rows.
"""

from functools import cache

import numpy as np
import pytest
from audit_drafts import Draft, changed, fair_draft, with_cover, with_cut, with_group
from audit_oracle import optimum, world
from hypothesis import given, settings
from hypothesis import strategies as st

from placement.audit.bound import VerifiedBound, bound_of
from placement.audit.case import open_cases
from placement.audit.grid import Grid
from placement.audit.penalties import Penalties

PLAIN, FOLLOW, CLOUD, TENANTS, GPUS = (1, 3), (2001,), (5002,), (6000,), (101,)
FAILING = (9000, 9001, 9004, 10002)
COVERED = (9000, 9001, 9004, 9008, 9009)
"""Of those that fail, some whose replicas stand all day and whose rows are mostly safe."""
WORLDS = (*PLAIN, *FOLLOW, *CLOUD, *TENANTS, *GPUS, *FAILING)


@cache
def opened(seed: int) -> tuple[Penalties, ...]:
    told = world(seed)
    return tuple(Penalties(Grid(case)) for case in open_cases(told.scenario, told.pairs))


def verified(seed: int, arrays: dict[str, np.ndarray]) -> VerifiedBound:
    """The bound; never above the optimum."""
    found, best = bound_of(arrays, opened(seed)), optimum(seed)
    assert found.bound_usd_month is None or found.bound_usd_month <= best + 1e-7 * (1 + abs(best))
    assert (found.bound_usd_month is None) == bool(found.reason)
    return found


@cache
def fair(seed: int) -> Draft:
    return fair_draft(world(seed))


@pytest.mark.parametrize("seed", WORLDS)
def test_what_the_linear_relaxation_pays_proves_a_bound_near_the_optimum_of_the_worlds(seed):
    """Else a tampered one would be far below it, whatever it claimed."""
    found = verified(seed, fair(seed).arrays()).bound_usd_month
    assert found is not None
    assert found > 0.25 * optimum(seed)


@pytest.mark.parametrize("seed", WORLDS)
def test_a_liar_who_keeps_what_raises_the_bound_never_gets_above_the_optimum(seed):
    told, best, rng = world(seed), fair(seed), np.random.default_rng(seed)
    highest = verified(seed, best.arrays()).bound_usd_month
    for _ in range(16):
        other = changed(told, best, rng)
        found = verified(seed, other.arrays()).bound_usd_month
        if found is not None and found >= highest:
            best, highest = other, found


@pytest.mark.parametrize("seed", COVERED)
def test_covers_of_any_rows_never_prove_more_than_the_optimum(seed):
    told, rng, held = world(seed), np.random.default_rng([seed, 1]), 0
    for _ in range(60):
        found = with_cover(told, fair(seed), rng)
        found = with_cover(told, found, rng) if rng.random() < 0.3 else found
        held += bool(found.covers) and not verified(seed, found.arrays()).reason
    assert held >= 10


@cache
def whole(seed: int) -> Draft:
    """A certificate with two cuts and a group, and a cover that holds where there are failures."""
    told, found, rng = world(seed), fair(seed), np.random.default_rng(seed)
    if seed in COVERED:
        covered = (with_cover(told, found, rng) for _ in range(99))
        found = next(one for one in covered if one.covers and not verified(seed, one.arrays()).reason)
    found = with_cut(told, with_cut(told, found, rng), rng)
    tried = (with_group(told, found, rng) for _ in range(99))
    return next(one for one in tried if one.groups and one.groups[0].nodes)


@settings(max_examples=80, deadline=None)
@given(seed=st.sampled_from(WORLDS), data=st.data())
def test_a_certificate_with_any_array_changed_never_proves_too_much(seed, data):
    arrays = whole(seed).arrays()
    rng = np.random.default_rng(data.draw(st.integers(0, 10**6)))
    names = sorted(name for name, values in arrays.items() if values.size)
    for name in data.draw(st.lists(st.sampled_from(names), min_size=1, max_size=2)):
        arrays[name] = _tampered(arrays[name], data.draw(st.sampled_from(KINDS)), rng)
    verified(seed, arrays)


KINDS = ["scale", "noise", "huge", "negate", "nan", "roll", "reverse", "one", "again", "drop", "bits"]


def _tampered(values: np.ndarray, kind: str, rng: np.random.Generator) -> np.ndarray:
    """Other values of mostly the same shape."""
    found, flat = values.copy(), values.reshape(-1).copy()
    if kind == "one":  # a value takes the place of another
        flat[rng.integers(flat.size)] = flat[rng.integers(flat.size)]
        return flat.reshape(values.shape)
    moved = {"roll": np.roll(found, 1), "reverse": np.asarray(np.flip(found))}
    if found.ndim:
        moved |= {"again": np.concatenate([found, found[:1]]), "drop": found[:-1]}
    if kind in moved:
        return moved[kind]
    if found.dtype.kind in "iu":
        return found + rng.integers(-1, 2, found.shape)
    return _other(found, kind, rng) if found.dtype.kind == "f" else np.asarray(np.flip(found))


def _other(found: np.ndarray, kind: str, rng: np.random.Generator) -> np.ndarray:
    """Other floats."""
    if kind == "bits":
        raw = bytearray(found.tobytes())
        for _ in range(3):
            raw[rng.integers(len(raw))] ^= 1 << rng.integers(8)
        return np.frombuffer(bytes(raw), np.float64).reshape(found.shape)
    factor = {"scale": rng.uniform(0, 3), "noise": rng.uniform(0, 2, found.shape), "huge": 1e300, "negate": -1.0}
    with np.errstate(over="ignore", invalid="ignore"):  # damaged twice it may be infinite
        return found * factor.get(kind, np.nan)


@pytest.mark.parametrize("seed", [1, 9004, 10002])
def test_prices_alone_prove_the_same_beside_cuts_and_groups_that_cost_nothing(seed):
    """Cuts and covers at the price 0; a group without branchings at the root's prices."""
    told = whole(seed)
    arrays = told.arrays()
    arrays["p0_cut_usd"], arrays["p0_cover_usd"] = np.zeros(len(told.cuts)), np.zeros(len(told.covers))
    arrays = {name: values for name, values in arrays.items() if not name.startswith("p0_g")}
    alone = fair(seed)
    arrays |= {"p0_groups": np.array(0), "p0_demand_usd": alone.demand}
    arrays["p0_backup_usd"] = np.array([usd for _, _, usd in alone.failures], np.float64)
    plain, beside = verified(seed, alone.arrays()), verified(seed, arrays)
    assert beside.bound_usd_month == pytest.approx(plain.bound_usd_month, rel=1e-12)


@pytest.mark.parametrize("seed", [1, 2001, 6000, 9004])
def test_names_in_any_order_prove_the_same(seed):
    """Demand rows are turned round, with all that points at them."""
    arrays = whole(seed).arrays()
    rows, failures = len(arrays["p0_demand_usd"]), len(arrays["p0_backup_usd"])
    turned = np.concatenate([np.arange(rows)[::-1], rows + np.arange(failures)])
    other = dict(arrays)
    for name, values in arrays.items():
        if name.startswith("p0_demand_"):
            other[name] = values[::-1]
        elif name.endswith(("cut_row", "cover_row", "g0_row", "backup_row")):
            other[name] = turned[values]
    plain, found = verified(seed, arrays), verified(seed, other)
    assert plain.bound_usd_month is not None, plain.reason
    assert found.bound_usd_month == pytest.approx(plain.bound_usd_month, rel=1e-12)
