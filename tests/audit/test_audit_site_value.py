"""What a site could earn, against enumeration by hand-size loops."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from placement.audit import site_value
from placement.audit.site_value import (
    Group,
    Offer,
    ServerLimits,
    around_the_clock,
    best_servers,
    held_servers,
    larger,
    packed,
    slice_values,
    trimmed,
    useful_quarters,
)


def value(profit, load, slices=None, most=10):
    """V of rows, each a class of its own, in the given slices; 0 in all others."""
    slices = np.zeros(len(profit), np.int64) if slices is None else np.asarray(slices)
    gain, need = np.zeros((slices.max() + 1, len(profit))), np.zeros((slices.max() + 1, len(profit)))
    gain[slices, np.arange(len(profit))] = profit
    need[slices, np.arange(len(profit))] = load
    return around_the_clock(slice_values(gain, need, most))


def test_a_block_serves_the_rows_that_pay_most_per_replica_first():
    # 6 USD for .5, 8 for 1, 3 for 1.5 replicas: with one replica 6 and half of 8; with two all but 2/3 of the 3's half
    assert value([8, 3, 6], [1, 1.5, 0.5]) == pytest.approx([0, 10, 15, 17])


def test_a_block_earns_in_every_slice_with_the_same_replicas():
    assert value([8, 6, 5], [1, 1, 2], [0, 0, 1]) == pytest.approx([0, 8 + 2.5, 14 + 5])


def test_a_row_without_load_pays_as_soon_as_one_replica_stands():
    assert value([5, 4], [0, 2])[:3] == pytest.approx([0, 5 + 2, 5 + 4])


def test_no_more_replicas_are_valued_than_fit():
    assert value([10], [5], most=2) == pytest.approx([0, 2, 4])


def test_the_value_is_never_below_the_exact_one_by_rounding():
    rng = np.random.default_rng(1)
    profit, load = rng.uniform(0, 1, 200), rng.uniform(0, 1e-3, 200)
    found = value(profit, load, most=5)
    assert found[1] >= profit.sum()
    assert found[1] == pytest.approx(profit.sum(), rel=1e-9)
    assert found[0] == 0


def test_of_blocks_that_exclude_each_other_the_larger_counts_and_a_short_one_stays_at_its_end():
    assert larger([np.array([[0.0, 5.0]]), np.array([[0.0, 3.0, 4.0, 9.0]])]).tolist() == [[0, 5, 5, 9]]


GROUPS = [
    Group(1, np.array([0, 2.0, 3.0, 3.5])),
    Group(2, np.array([0, 3.5, 9.0])),
    Group(4, np.array([0, 6.0, 6.5])),
]


def best(groups, capacity):
    """By enumeration of every count."""
    counts = product(*(range(len(group.value)) for group in groups))
    return max(
        sum(group.value[y] for group, y in zip(groups, chosen, strict=True))
        for chosen in counts
        if sum(group.quarters * y for group, y in zip(groups, chosen, strict=True)) <= capacity
    )


@pytest.mark.parametrize("groups", [GROUPS, GROUPS[1:], GROUPS[2:]], ids=["unit 1", "unit 2", "unit 4"])
def test_groups_are_packed_into_quarter_gpus_as_enumeration_packs_them(groups):
    assert packed(groups, 17) == pytest.approx([best(groups, capacity) for capacity in range(18)])


@pytest.mark.parametrize("seed", range(5))
def test_counts_beside_each_other_are_packed_at_once_as_they_are_one_by_one(monkeypatch, seed):
    """Of no, one and two leaves; some of them allow no count of 0; down to no room at all."""
    draw = np.random.default_rng(seed)
    for leading in ((), (2,), (3,)):
        values = [np.cumsum(draw.random((*leading, counts)), axis=-1) for counts in (1, 4, 30)]
        values[1][..., 0] = -np.inf
        several = [Group(quarters, value) for quarters, value in zip((4, 2, 8), values, strict=True)]
        for capacity in (0, 1, 7, 90):
            monkeypatch.setattr(site_value, "AT_ONCE", 10**9)
            at_once = packed(several, capacity)
            monkeypatch.setattr(site_value, "AT_ONCE", -1)
            assert packed(several, capacity).tolist() == at_once.tolist()


def test_the_fast_packing_is_never_below_the_exact_one_and_equal_where_values_are_concave(monkeypatch):
    exact = packed(GROUPS, 17)
    concave = [Group(2, np.array([0, 5.0, 9.0])), Group(2, np.array([0, 4.0, 4.5]))]
    even = packed(concave, 8)[::2]
    monkeypatch.setattr(site_value, "MOST_STEPS", 0)
    assert (packed(GROUPS, 17) >= exact - 1e-12).all()
    assert packed(GROUPS, 17)[-1] == pytest.approx(exact[-1])
    assert packed(concave, 8)[::2] == pytest.approx(even)
    # the corner of (0, 0), (1, 3.5), (2, 9) at 1 lies below the line from 0 to 9
    assert packed([GROUPS[1]], 4) == pytest.approx([0, 2.25, 4.5, 6.75, 9])


OFFERS = [Offer(4, 1.0, 2.0, 3.0, 3), Offer(8, 1.5, 1.0, 5.5, 2), Offer(4, 1.0, 2.0, 0.5, 1)]
STEPS = np.array([0, 1, 2, 4, 8, 8.5, 9, 9.5, 14, 14, 15, 16, 19, 20, 20.5, 21, 24, 24.5, 25, 26, 27.0])


def best_counts(value, power_kw, rack_units, allowed=lambda counts: True):
    found = -np.inf
    for counts in product(*(range(offer.most + 1) for offer in OFFERS)):
        kw = sum(offer.power_kw * n for offer, n in zip(OFFERS, counts, strict=True))
        units = sum(offer.rack_units * n for offer, n in zip(OFFERS, counts, strict=True))
        if kw <= power_kw and units <= rack_units and allowed(counts):
            quarters = sum(offer.quarters * n for offer, n in zip(OFFERS, counts, strict=True))
            usd = sum(offer.usd * n for offer, n in zip(OFFERS, counts, strict=True))
            found = max(found, float(value[min(quarters, len(value) - 1)]) - usd)
    return found


@pytest.mark.parametrize("power_kw", [0.5, 1, 2, 2.5, 3, 4, 9])
@pytest.mark.parametrize("rack_units", [0, 1, 3, 4, 5, 99])
def test_servers_are_chosen_as_enumeration_chooses_them(power_kw, rack_units):
    assert best_servers(OFFERS, STEPS, power_kw, rack_units) == pytest.approx(best_counts(STEPS, power_kw, rack_units))


def test_merged_server_states_are_never_worse_and_equal_where_no_limit_binds(monkeypatch):
    exact = {limit: best_servers(OFFERS, STEPS, limit, limit) for limit in (1, 2, 3, 4, 99)}
    monkeypatch.setattr(site_value, "MOST_STATES", 0)
    for limit, usd in exact.items():
        assert best_servers(OFFERS, STEPS, limit, limit) >= usd - 1e-12
    assert best_servers(OFFERS, STEPS, 99, 99) == pytest.approx(exact[99])


def test_servers_that_never_pay_are_not_bought():
    assert best_servers([Offer(4, 1, 1, 100.0, 3)], STEPS, 9, 9) == 0.0


def test_rows_without_load_need_one_replica_and_no_more():
    assert value([5], [0]) == pytest.approx([0, 5])


def test_a_row_that_keeps_less_than_a_replica_busy_needs_one():
    assert value([5], [0.5]) == pytest.approx([0, 5])


def test_more_quarter_gpus_than_all_replicas_of_all_groups_take_are_of_no_use():
    # 3 replicas of 1 quarter, 2 of 2, 2 of 4
    assert useful_quarters(GROUPS) == 3 + 4 + 8


def test_a_value_is_cut_where_no_leaf_earns_more_by_more_replicas():
    """Of two leaves in one slice the second earns up to its second replica; without replicas there is no end."""
    assert trimmed(np.array([[[0.0, 3.0, 3.0, 3.0]], [[0.0, 1.0, 2.0, 2.0]]])).shape == (2, 1, 3)
    assert trimmed(np.zeros((2, 1, 4))).shape == (2, 1, 1)
    assert trimmed(np.zeros((2, 1, 1))).shape == (2, 1, 1)


def test_groups_that_just_fill_the_capacity_are_packed():
    assert packed(GROUPS[2:], 8) == pytest.approx([0, 0, 0, 0, 6, 6, 6, 6, 6.5])
    assert packed(GROUPS[:1], 1) == pytest.approx([0, 2])


def test_packing_is_exact_up_to_its_limit_of_steps_and_concave_beyond(monkeypatch):
    """10 values by 16 quarter GPUs are 160 steps; at 3 of them 2 + 3.5 is exact, and less than fractions of 9 earn."""
    exact = packed(GROUPS, 16)
    assert exact[3] == pytest.approx(5.5)
    monkeypatch.setattr(site_value, "MOST_STEPS", 160)
    assert packed(GROUPS, 16).tolist() == exact.tolist()
    monkeypatch.setattr(site_value, "MOST_STEPS", 159)
    assert packed(GROUPS, 16)[3] > 6


def test_points_on_a_line_are_no_corners_of_the_concave_hull(monkeypatch):
    """With one piece the rounding allowance is that of one addition and four more."""
    monkeypatch.setattr(site_value, "MOST_STEPS", 0)
    rounded_up = 1 + 5 * site_value.EPS
    assert packed([Group(1, np.array([0, 1.0, 2.0]))], 2).tolist() == [0, rounded_up, 2 * rounded_up]


def test_server_states_are_merged_only_beyond_their_limit(monkeypatch):
    """One of 1 kW and 9 U earns 5; one of 9 kW and 1 U earns 5: merged they would fit 1 kW and 1 U together twice."""
    offers = [Offer(4, 1.0, 9.0, 1.0, 1), Offer(4, 9.0, 1.0, 1.0, 1), Offer(4, 1.0, 1.0, 3.0, 1)]
    earned = np.array([0, 0, 0, 0, 6.0, 6, 6, 6, 11.0])
    # within 9 kW and 9 U any one of them: the first or the second earns 6 - 1
    monkeypatch.setattr(site_value, "MOST_STATES", 4)
    assert best_servers(offers, earned, 9, 9) == pytest.approx(5)
    # no server, the first, the second; merged into no server and one of 1 kW, 1 U and 1 USD the third joins: 11 - 4
    monkeypatch.setattr(site_value, "MOST_STATES", 2)
    assert best_servers(offers, earned, 9, 9) == pytest.approx(7)
    monkeypatch.setattr(site_value, "MOST_STATES", 3)
    assert best_servers(offers, earned, 9, 9) == pytest.approx(5)


def least_concave(value, y):
    """The highest point at y of a line between any two of the points."""
    ends = [(i, j) for i in range(y + 1) for j in range(y, len(value)) if i < j]
    lines = [value[i] + (value[j] - value[i]) * (y - i) / (j - i) for i, j in ends]
    return max([value[y], *lines])


@pytest.mark.parametrize("seed", range(8))
def test_the_fast_packing_of_one_group_is_its_least_concave_function(seed, monkeypatch):
    steps = np.random.default_rng(seed).uniform(0, 5, 9) ** 2 / np.arange(1, 10)
    value = np.concatenate([[0.0], np.cumsum(steps)])
    monkeypatch.setattr(site_value, "MOST_STEPS", 0)
    assert packed([Group(1, value)], 9) == pytest.approx([least_concave(value, y) for y in range(10)])


@pytest.mark.parametrize("power_kw", [2.5, 4, 9])
def test_of_server_states_alike_the_cheapest_is_kept_and_those_that_leaves_tell_apart_all_are(power_kw, monkeypatch):
    """At least one of `a`, none of `a`, at most one of `b`, anything; with and without sorting."""
    offers = [replace(offer, server=name) for offer, name in zip(OFFERS, "aba", strict=True)]
    least = np.array([[1, 0], [0, 0], [0, 0], [0, 0]])
    most = np.array([[9, 9], [0, 9], [9, 1], [9, 9]])
    limits = ServerLimits(("a", "b"), least, most)
    all_of_them = held_servers(offers, STEPS, power_kw, 9, limits)
    monkeypatch.setattr(site_value, "FEW_STATES", 0)
    sorted_ = held_servers(offers, STEPS, power_kw, 9, limits)
    assert sorted_.some.tolist() == all_of_them.some.tolist()
    assert sorted_.none.tolist() == all_of_them.none.tolist() == [-np.inf, 0, 0, 0]
    for leaf in range(4):
        expected = best_counts(
            STEPS,
            power_kw,
            9,
            lambda n, leaf=leaf: least[leaf, 0] <= n[0] + n[2] <= most[leaf, 0] and n[1] <= most[leaf, 1],
        )
        assert max(sorted_.some[leaf], sorted_.none[leaf]) == pytest.approx(expected)
