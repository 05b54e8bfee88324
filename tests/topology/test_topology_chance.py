"""The one distribution of a pair's round trip, against figures worked out by hand and against itself."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from placement.topology.chance import chance, quantile_ms
from placement.topology.pairs import State

ms = st.floats(0.1, 1000.0)


def one(state: State, lower: float, mid: float, upper: float, limit: float) -> float:
    at = np.array([state], np.int8)
    return float(chance(at, np.array([lower]), np.array([mid]), np.array([upper]), limit)[0])


@pytest.mark.parametrize(
    ("limit", "likely"),
    [
        (9.99, 0.0),  # nothing is promised below the lower end
        (10.0, 0.05),
        (20.0, 0.275),  # the middle of log 10 and log 40: half of the way from 0.05 to 0.5
        (40.0, 0.5),
        (80.0, 0.725),  # as above, of log 40 and log 160
        (160.0, 0.95),
        (320.0, 0.9875),  # 1 - 0.05 / 2²
        (1600.0, 0.9995),
    ],
)
def test_an_inferred_pair_by_hand(limit: float, likely: float) -> None:
    assert one(State.INFERRED, 10.0, 40.0, 160.0, limit) == pytest.approx(likely, abs=1e-12)


def test_a_measured_pair_promises_its_p95_and_an_unknown_one_nothing() -> None:
    assert [one(State.MEASURED, 20.0, 20.0, 20.0, limit) for limit in (19.99, 20.0, 500.0)] == [0.0, 1.0, 1.0]
    assert one(State.UNKNOWN, np.nan, np.nan, np.nan, 1e9) == 0.0


def test_quantiles_by_hand() -> None:
    state = np.array([State.INFERRED, State.MEASURED, State.UNKNOWN], np.int8)
    lower, mid, upper = np.array([10.0, 7.0, np.nan]), np.array([40.0, 7.0, np.nan]), np.array([160.0, 7.0, np.nan])
    for share, inferred_ms in ((0.05, 10.0), (0.275, 20.0), (0.5, 40.0), (0.725, 80.0), (0.95, 160.0)):
        found = quantile_ms(state, lower, mid, upper, share)
        np.testing.assert_allclose(found, [inferred_ms, 7.0, np.nan])


@pytest.mark.parametrize("share", [0.0, 0.04, 0.96, 1.0, float("nan")])
def test_a_share_outside_of_the_interval_is_refused(share: float) -> None:
    with pytest.raises(ValueError, match=r"0\.05 and 0\.95"):
        quantile_ms(np.array([1], np.int8), np.ones(1), np.ones(1), np.ones(1), share)


@given(st.lists(ms, min_size=3, max_size=3).map(sorted), st.floats(0.05, 0.95))
def test_the_chance_of_a_quantile_is_its_share(ends: list[float], share: float) -> None:
    state = np.array([State.INFERRED], np.int8)
    lower, mid, upper = (np.array([end]) for end in ends)
    found = chance(state, lower, mid, upper, quantile_ms(state, lower, mid, upper, share) * (1 + 1e-9))
    # Where ends coincide the chance jumps over the share: never below it.
    assert found[0] >= share - 1e-6
    if ends[0] * 1.01 < ends[1] and ends[1] * 1.01 < ends[2]:
        assert found[0] == pytest.approx(share, abs=1e-5)


@given(st.lists(ms, min_size=3, max_size=3).map(sorted), ms, ms)
def test_a_longer_limit_is_never_less_likely_kept(ends: list[float], one_ms: float, other_ms: float) -> None:
    likely = [one(State.INFERRED, ends[0], ends[1], ends[2], limit) for limit in sorted((one_ms, other_ms))]
    assert 0.0 <= likely[0] <= likely[1] <= 1.0


@pytest.mark.parametrize("width", [1e-2, 1e-6, 1e-9, 1e-12])
@pytest.mark.parametrize("part", [0.1, 0.25, 0.9])
def test_narrow_intervals_lose_no_digits(width: float, part: float) -> None:
    """Logarithms of so near figures are as their differences: log(1 + x) = x - x²/2 + x³/3, in fractions."""
    lower, upper = 100.0, 100.0 * (1 + width)
    mid, limit = lower + (upper - lower) / 2, lower + (upper - lower) / 2 * part

    def log_ratio(ms: float) -> Fraction:
        x = (Fraction(ms) - Fraction(lower)) / Fraction(lower)
        return x - x**2 / 2 + x**3 / 3 - x**4 / 4 + x**5 / 5

    exact = Fraction(1, 20) + Fraction(9, 20) * log_ratio(limit) / log_ratio(mid)
    assert one(State.INFERRED, lower, mid, upper, limit) == pytest.approx(float(exact), abs=1e-11)


def test_two_ends_in_one_building_have_a_chance_too() -> None:
    assert one(State.INFERRED, 0.0, 1.0, 2.0, 1.0) == 0.5
    assert one(State.INFERRED, 0.0, 0.0, 2.0, 1.0) < 0.95
