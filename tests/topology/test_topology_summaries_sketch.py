"""Buckets against numpy's exact quantiles: merged in any order and any split, off by less than one percent."""

from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from placement.topology.summaries import buckets as buckets_module
from placement.topology.summaries.buckets import Buckets
from placement.topology.summaries.sketch import Quantiles, means_ms

TIMES = st.one_of(
    st.floats(0.001, 300_000.0),
    st.floats(9.99, 10.11),  # many in one bucket and its neighbours
    st.sampled_from([0.001, 1.0, 1.009, 20.0, 20.0000001, 3e5]),
)
GROUPS = st.lists(st.tuples(st.integers(0, 2), TIMES), min_size=1, max_size=120)


def filled(parts: list[list[tuple[int, float]]]) -> dict[str, np.ndarray]:
    """The columns of buckets that took the parts one after the other."""
    taken = Buckets()
    for part in parts:
        group = np.array([one for one, _ in part], np.int64)
        value_ns = np.rint(np.array([value for _, value in part]) * 1e6).astype(np.int64)
        taken.add_samples(0, group, value_ns)
    return taken.columns(np.arange(3))


@settings(max_examples=200, deadline=None)
@given(GROUPS, st.randoms(use_true_random=False), st.integers(1, 6))
def test_quantiles_are_within_one_percent_of_numpys_whatever_the_order_and_the_split(
    values: list[tuple[int, float]], random: Random, parts: int
) -> None:
    shuffled = values.copy()
    random.shuffle(shuffled)
    whole = filled([values])
    split = filled([shuffled[i::parts] for i in range(parts)])
    assert all(np.array_equal(whole[name], split[name]) for name in whole)
    found = Quantiles(3, whole["number"], whole["bucket"], whole["count"], whole["excess"])
    for group in range(3):
        mine = np.array([value for one, value in values if one == group])
        assert found.count[group] == len(mine)
        for share in (0.0, 0.05, 0.5, 0.95, 0.99, 1.0):
            one = found.interpolated(share)[group]
            if len(mine):
                assert one == pytest.approx(np.quantile(mine, share), rel=0.0099)
            else:
                assert np.isnan(one)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(TIMES, st.integers(1, 40)), min_size=1, max_size=60), st.integers(1, 99))
def test_a_weighted_quantile_is_that_of_as_many_copies(values: list[tuple[float, int]], percent: int) -> None:
    taken = Buckets()
    value, weight = np.array([one for one, _ in values]), np.array([n for _, n in values], np.int64)
    taken.add_weighted(0, np.zeros(len(values), np.int64), value, weight)
    columns = taken.columns(np.arange(1))
    found = Quantiles(1, columns["number"], columns["bucket"], columns["count"], columns["excess"])
    copies = np.sort(np.repeat(value, weight))
    least = next(one for i, one in enumerate(copies) if (i + 1) * 100 >= len(copies) * percent)
    assert found.reached(percent)[0] == pytest.approx(least, rel=0.0099)
    assert found.total()[0] == pytest.approx(copies.sum(), rel=1e-6)


def test_equal_values_are_exact() -> None:
    whole = filled([[(0, 12.345)] * 7 + [(1, 0.067)]])
    found = Quantiles(2, whole["number"], whole["bucket"], whole["count"], whole["excess"])
    assert list(found.interpolated(0.95)) == [12.345, 0.067]


def test_sorting_in_millions_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    draw = np.random.default_rng(3)
    values = [
        (int(group), float(value))
        for group, value in zip(draw.integers(0, 3, 999), draw.lognormal(3, 1, 999), strict=True)
    ]
    whole = filled([values])
    monkeypatch.setattr(buckets_module, "_SAMPLES_AT_ONCE", 50)
    monkeypatch.setattr(buckets_module, "_BUCKETS_AT_ONCE", 90)
    parts = filled([values[i : i + 20] for i in range(0, 999, 20)])
    assert all(np.array_equal(whole[name], parts[name]) for name in whole)


def test_a_value_beyond_all_measure_stays_in_its_bucket() -> None:
    taken = Buckets()
    taken.add_weighted(0, np.zeros(3, np.int64), np.array([1e300, 1e300, 5.0]), np.array([10**9, 10**9, 1]))
    columns = taken.columns(np.arange(1))
    hours = means_ms(columns["bucket"].astype(np.int64), columns["count"], columns["excess"])
    assert hours[0] == 5.0
    assert hours[1] == pytest.approx(2**44 / 1e6, rel=0.0099)  # 4.9 hours
