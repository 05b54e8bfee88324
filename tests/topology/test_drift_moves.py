"""What moved between two states of a network: by hand, by its opposite, and against draws that did not move."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest
from drift_world import Float, measured, pairs
from hypothesis import given
from hypothesis import strategies as st
from topology_world import NOON, demand, record, regions, sites, topology

from placement.topology import Pairs, State, Topology
from placement.topology.drift import Change, drift
from placement.topology.drift.stored import places_of
from placement.topology.drift.tally import Places, by_country, by_site, counts, movers, movers_table, transitions
from probes.record import Record

OPPOSITE = {
    Change.SAME: Change.SAME,
    Change.APPEARED: Change.LOST,
    Change.LOST: Change.APPEARED,
    Change.SLOWER: Change.FASTER,
    Change.FASTER: Change.SLOWER,
    Change.RAISED: Change.LOWERED,
    Change.LOWERED: Change.RAISED,
}
LATER = NOON + timedelta(days=1)


def average(source: str, target: str, **figures: Any) -> Record:
    """A record of another's tool that knows no samples: it makes an inferred pair."""
    return record(source, target, method="imported:x", sent=None, received=1, **figures)


def changed(before: list[Record], after: list[Record]) -> tuple[Change, Change, Change]:
    """What became of latency, bandwidth and loss of the pair r1, s1."""
    found = drift(topology(before).pairs, topology(after).pairs)
    return Change(found.rtt[0, 0]), Change(found.mbps[0, 0]), Change(found.loss[0, 0])


def test_a_measured_pair_has_moved_beyond_a_fifth_and_five_milliseconds() -> None:
    before = [record("r1", "s1", *[10.0] * 5)]
    assert changed(before, [record("r1", "s1", *[17.0] * 5)])[0] == Change.SAME  # 0.2 · 10 + 5 = 7
    assert changed(before, [record("r1", "s1", *[17.1] * 5)])[0] == Change.SLOWER
    assert changed([record("r1", "s1", *[17.1] * 5)], before)[0] == Change.FASTER


def test_few_samples_far_apart_raise_the_figure_and_show_no_move() -> None:
    # p50 20 and p95 29, then 50 and 59: spread 9 each. Of three samples 3 · 1.893 · 9 / √3 = 29.5 ms are noise, and
    # 59 - 29.5 < 29 + 29.5; of 300 it is 2.95 ms, and 59 - 2.95 > 29 + 2.95.
    few, many = [10.0, 20.0, 30.0], [10.0, 20.0, 30.0] * 100
    assert changed([record("r1", "s1", *few)], [record("r1", "s1", *[v + 30 for v in few])])[0] == Change.RAISED
    assert changed([record("r1", "s1", *many)], [record("r1", "s1", *[v + 30 for v in many])])[0] == Change.SLOWER


def test_an_inferred_pair_has_moved_when_its_intervals_do_not_touch() -> None:
    def inferred(average_ms: float, least_ms: float) -> list[Record]:
        """The upper end is the average · 1.2 + 5 ms, the lower one the least."""
        return [average("r1", "s1", rtt_avg_ms=average_ms, rtt_min_ms=least_ms)]

    before = inferred(40.0, 30.0)  # 30 … 53
    assert changed(before, inferred(80.0, 52.0))[0] == Change.RAISED  # 52 … 101
    assert changed(before, inferred(80.0, 54.0))[0] == Change.SLOWER  # 54 … 101
    assert changed(inferred(80.0, 54.0), before)[0] == Change.FASTER
    assert changed(before, [record("r1", "s1", 54.0, 54.0)])[0] == Change.SAME  # measured 54: one more than planned
    assert changed(before, [record("r1", "s1", 29.0, 29.0)])[0] == Change.FASTER  # below light's word of 30


def test_what_is_raised_is_the_figure_that_the_scenario_plans_with() -> None:
    """Two days that tell the same middle, 60 ms, with upper ends of 90 and 150, and the other way round."""
    inferred = {"rtt_state": np.full((1, 1), State.INFERRED, np.int8), "rtt_lower_ms": np.full((1, 1), 40.0)}
    ends = {(mid, upper): {"rtt_mid_ms": np.full((1, 1), mid), "rtt_upper_ms": np.full((1, 1), upper)}
            for mid, upper in ((60.0, 90.0), (60.0, 150.0), (85.0, 90.0))}  # fmt: skip
    narrow, wide, later = (pairs((1, 1), **inferred, **figures) for figures in ends.values())
    assert (drift(narrow, wide).rtt[0, 0], drift(narrow, wide).delta_ms[0, 0]) == (Change.RAISED, 60.0)
    assert (drift(narrow, wide, 0.5).rtt[0, 0], drift(narrow, wide, 0.5).delta_ms[0, 0]) == (Change.SAME, 0.0)
    assert (drift(narrow, later).rtt[0, 0], drift(narrow, later).delta_ms[0, 0]) == (Change.SAME, 0.0)
    raised = drift(narrow, later, 0.5)
    assert (raised.rtt[0, 0], raised.delta_ms[0, 0]) == (Change.RAISED, 25.0)
    places = Places(
        pd.DataFrame({"region": [], "country": [], "users": [], "requests_per_s": []}),
        pd.DataFrame({"site": [], "country": []}),
    )
    row = movers_table(raised, places, movers(raised, places)).iloc[0]
    assert (row["planned_ms_before"], row["planned_ms_after"]) == (60.0, 85.0)
    country = by_country(raised, places).iloc[0]
    assert (country["nearest_before_ms"], country["nearest_after_ms"]) == (60.0, 85.0)


def test_a_pair_appears_and_is_lost() -> None:
    some = [record("r1", "s1", 10.0)]
    assert changed([], some)[0] == Change.APPEARED
    assert changed(some, [])[0] == Change.LOST
    assert changed([], [])[0] == Change.SAME


def test_bandwidth_has_moved_beyond_half_as_much_again() -> None:
    def wide(mbps: float) -> list[Record]:
        return [record("r1", "s1", method="ndt7", mbps=mbps, direction="up")]

    assert changed(wide(100.0), wide(150.0))[1] == Change.SAME
    assert changed(wide(100.0), wide(151.0))[1] == Change.FASTER
    assert changed(wide(100.0), wide(66.0))[1] == Change.SLOWER
    assert changed(wide(100.0), [])[1] == Change.LOST


def test_what_was_lost_counts_among_the_probes_that_tell_of_loss() -> None:
    """100 answers at a loss of 0.42 are 172 probes, at 0.58 they are 238: the errors are 0.0376 and 0.0320, three of
    both together 0.148 < 0.16. Of 100 probes each they would be 0.209."""
    one, other = (
        replace(measured(np.array([20.0]), np.array([20.0]), 100), loss=np.array([[loss]])) for loss in (0.42, 0.58)
    )
    assert Change(drift(one, other).loss[0, 0]) == Change.SLOWER
    assert Change(drift(other, one).loss[0, 0]) == Change.FASTER


def test_loss_has_moved_beyond_what_so_many_probes_can_tell() -> None:
    def losing(sent: int, lost: int) -> list[Record]:
        return [record("r1", "s1", *[10.0] * (sent - lost), sent=sent)]

    # of ten sent, √(0.3 · 0.7 / 10) = 0.145 is one standard error
    assert changed(losing(10, 0), losing(10, 3))[2] == Change.SAME
    assert changed(losing(1000, 0), losing(1000, 300))[2] == Change.SLOWER
    assert changed(losing(1000, 300), losing(1000, 0))[2] == Change.FASTER
    assert changed(losing(1000, 0), losing(1000, 9))[2] == Change.SAME  # less than a hundredth matters to nobody


def test_a_pair_that_nobody_measured_again_is_silent_while_others_go_on() -> None:
    old = [record("r1", "s1", 10.0), record("r2", "s1", 10.0)]
    new = [*old, record("r2", "s1", 10.0, at=LATER)]
    assert drift(topology(old).pairs, topology(new).pairs).silent.tolist() == [[True, False], [False, False]]
    assert not drift(topology(new).pairs, topology(new).pairs).silent.any()


def test_places_that_only_one_of_the_two_has_are_named_and_the_others_compared() -> None:
    old = topology([record("r2", "s3", 10.0)], regions=regions("r1", "r2"), sites=sites("s1", "s3")).pairs
    new = topology([record("r2", "s3", 90.0)], regions=regions("r2", "r5"), sites=sites("s2", "s3", "s4")).pairs
    found = drift(old, new)
    assert (found.gone_regions, found.new_regions) == (("r1",), ("r5",))
    assert (found.gone_sites, found.new_sites) == (("s1",), ("s2", "s4"))
    assert (found.old.regions, found.old.sites, found.rtt.tolist()) == (("r2",), ("s3",), [[Change.SLOWER]])


@st.composite
def worlds(draw: st.DrawFn) -> Pairs:
    """Two regions and two sites in any state, with figures near each other and far from each other."""
    shape = (2, 2)

    def drawn(values: list[float]) -> Float:
        return np.array(draw(st.lists(st.sampled_from(values), min_size=4, max_size=4)), np.float64).reshape(shape)

    state = drawn([float(one) for one in State]).astype(np.int8)
    known = np.where(state == State.UNKNOWN, np.nan, 1.0)
    p95 = drawn([5.0, 12.0, 13.0, 17.0, 40.0, 200.0]) * known
    lower = np.where(state == State.MEASURED, p95, p95 * drawn([0.3, 0.9]))
    mbps = drawn([np.nan, 10.0, 14.0, 100.0])
    return pairs(
        shape,
        rtt_state=state,
        rtt_p95_ms=np.where(state == State.MEASURED, p95, np.nan),
        rtt_p50_ms=p95 * drawn([0.5, 1.0]),
        rtt_lower_ms=lower,
        rtt_mid_ms=np.sqrt(lower * p95),
        rtt_upper_ms=p95,
        loss=drawn([np.nan, 0.0, 0.005, 0.1, 1.0]),
        samples=drawn([0.0, 3.0, 1000.0]).astype(np.int64),
        mbps=mbps,
        mbps_state=np.where(np.isnan(mbps), State.UNKNOWN, State.MEASURED).astype(np.int8),
    )


@given(worlds(), worlds())
def test_the_way_back_is_the_opposite_and_the_way_nowhere_is_empty(old: Pairs, new: Pairs) -> None:
    there, back = drift(old, new), drift(new, old)
    for name in ("rtt", "mbps", "loss"):
        opposite = np.vectorize(OPPOSITE.__getitem__)(getattr(there, name))
        assert np.array_equal(opposite, getattr(back, name))
    assert np.array_equal(there.delta_ms, -back.delta_ms, equal_nan=True)
    assert not drift(old, old).moved.any()


DISTRIBUTIONS = {
    "normal": lambda rng, shape: 60 + rng.normal(0, 5, shape),
    "exponential": lambda rng, shape: 30 + rng.exponential(10, shape),
    "log-normal": lambda rng, shape: 30 + 10 * rng.lognormal(0, 1, shape),
    "Pareto": lambda rng, shape: 30 + 5 * rng.pareto(2, shape),
}


@pytest.mark.parametrize("name", DISTRIBUTIONS)
@pytest.mark.parametrize("samples", [5, 20, 100, 500])
def test_of_pairs_that_did_not_move_less_than_one_in_a_hundred_is_called_moved(name: str, samples: int) -> None:
    rng = np.random.default_rng([samples, len(name)])
    both = [np.quantile(DISTRIBUTIONS[name](rng, (4000, samples)), [0.5, 0.95], axis=1) for _ in range(2)]
    old, new = (measured(p50, p95, samples) for p50, p95 in both)
    found = drift(old, new).rtt
    assert np.isin(found, [Change.SLOWER, Change.FASTER]).mean() < 0.01


def test_of_pairs_that_became_twice_as_long_nearly_all_are_called_slower() -> None:
    rng = np.random.default_rng(7)
    both = [np.quantile(by * (30 + rng.exponential(10, (4000, 100))), [0.5, 0.95], axis=1) for by in (1, 2)]
    old, new = (measured(p50, p95, 100) for p50, p95 in both)
    assert (drift(old, new).rtt == Change.SLOWER).mean() > 0.95


@pytest.fixture
def two_days() -> tuple[Topology, Topology]:
    """r1 asks for 30 a second, r2 for 10. s1 became slower for both, s2 appears for r1, and r2's s2 is measured now."""
    tables = {"demand": demand(("r1", 30.0), ("r2", 10.0))}
    before = [record("r1", "s1", 10.0), record("r2", "s1", 20.0), average("r2", "s2", rtt_avg_ms=15.0)]
    after = [record("r1", "s1", 50.0), record("r2", "s1", 90.0), record("r1", "s2", 45.0), record("r2", "s2", 20.0)]
    return topology(before, **tables), topology(after, **tables)


def test_what_moved_is_counted_by_kind_state_country_and_site(two_days: tuple[Topology, Topology]) -> None:
    old, new = two_days
    found = drift(old.pairs, new.pairs)
    latency = counts(found)["latency"]
    assert {name: count for name, count in latency.items() if count} == {"appeared": 1, "slower": 2}
    assert transitions(found).to_numpy(object).tolist() == [
        ["inferred from averages", "measured", 1],
        ["unknown", "measured", 1],
    ]
    countries = by_country(found, places_of(new)).iloc[0]
    assert (countries["country"], countries["weight"], countries["slower"]) == ("EC", 40.0, 2)
    # r1 has most of the weight: 10 ms to s1 before, 45 ms to s2 now
    assert (countries["nearest_before_ms"], countries["nearest_after_ms"]) == (10.0, 45.0)
    assert by_site(found)[["site", "slower", "appeared"]].to_numpy(object).tolist() == [["s1", 2, 0], ["s2", 0, 1]]


def test_the_pairs_that_most_ride_on_come_first(two_days: tuple[Topology, Topology]) -> None:
    old, new = two_days
    found = drift(old.pairs, new.pairs)
    table = movers_table(found, places_of(new), movers(found, places_of(new)))
    # r1-s1: 30/s · 40 ms · 10/10; r1-s2 appeared: 30 · 100 · 10/45 = 667; r2-s1: 10 · 70 · 20/20 = 700
    assert table[["region", "site"]].to_numpy().tolist() == [["r1", "s1"], ["r2", "s1"], ["r1", "s2"]]
    first = table.iloc[0]
    assert (first["latency"], first["rtt_upper_ms_before"], first["rtt_upper_ms_after"]) == ("slower", 10.0, 50.0)
    assert pd.isna(table["rtt_upper_ms_before"][2])
