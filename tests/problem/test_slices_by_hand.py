"""Slices of the day (6, 9): replicas that follow them, transit by its billing; the tiny scenario on paper."""

from pathlib import Path

import pytest
import tiny
from scenes import SLICED, SLICES, Changes, blocks, built, only, pair, with_column, with_keys

DAY = {"slices.csv": SLICES, "demand.csv": SLICED}
FOLLOWING = with_keys("[limits]", "replicas_follow_slices = true")
DAY_H, NIGHT_H = 730 * 0.75, 730 * 0.25
PARIS_DAY_MBPS, PARIS_NIGHT_MBPS = 8 * 0.08, 2 * 0.08


def test_replicas_stand_around_the_clock_for_the_busiest_slice(tmp_path: Path) -> None:
    found = built(tmp_path, DAY)
    problem = only(found)
    assert problem.block_slice is None
    assert blocks(found) == [("alpha", "m8-one", ""), ("beta", "m8-one", "")]
    assert problem.block_max.tolist() == [1, 2]  # beta by day: 0.8 + 0.6


def test_replicas_that_follow_the_slices_stand_in_one_each(tmp_path: Path) -> None:
    found = built(tmp_path, DAY, FOLLOWING)
    problem = only(found)
    assert problem.block_slice is not None
    assert blocks(found) == [
        ("alpha", "m8-one", "day"),
        ("alpha", "m8-one", "night"),
        ("beta", "m8-one", "day"),
        ("beta", "m8-one", "night"),
    ]
    assert problem.block_max.tolist() == [1, 1, 2, 1]  # beta by night: 0.2 + 0.3
    assert problem.offer_max.tolist() == [1, 1]  # two GPUs carry the day, and the night stands on the same
    assert (problem.demand_slice[problem.pair_demand] == problem.block_slice[problem.pair_block]).all()


def test_an_operating_point_is_chosen_in_every_slice_by_itself(tmp_path: Path) -> None:
    slow = "m8-slow,m8,g96,1,fp8,chat,throughput,20,90,40,16,by hand\n"
    problem = only(built(tmp_path, DAY, FOLLOWING, {"shapes.csv": tiny.FILES["shapes.csv"] + slow}))
    assert problem.blocks == 8 and problem.block_slice is not None
    assert sorted(problem.block_choice.tolist()) == [0, 0, 1, 1, 2, 2, 3, 3]
    for choice in range(4):
        mine = problem.block_choice == choice
        assert len(set(problem.block_site[mine])) == len(set(problem.block_slice[mine])) == 1


def test_with_one_slice_there_is_nothing_to_follow(tmp_path: Path) -> None:
    assert only(built(tmp_path, FOLLOWING)).block_slice is None


def transit(*billing: str) -> Changes:
    """2 USD a month for a Mbit/s at alpha, 3 at beta."""
    text = with_column("sites.csv", "transit_usd_per_mbps_month", (2, 3))["sites.csv"]
    return with_column("sites.csv", "transit_billing", billing, text)


def test_transit_by_the_mean_is_part_of_what_a_route_costs(tmp_path: Path) -> None:
    found = built(tmp_path, DAY, transit("mean", "mean"))
    problem = only(found)
    assert problem.rules.transit is None
    energy = 4 / 10 * 0.4 * 1.5 * 0.1 * DAY_H
    assert problem.pair_usd[pair(found, "paris", "beta", "day")] == pytest.approx(energy + 0.75 * PARIS_DAY_MBPS * 3)
    energy = 1 / 10 * 0.4 * 1.5 * 0.1 * NIGHT_H
    at_night = problem.pair_usd[pair(found, "paris", "alpha", "night")]
    assert at_night == pytest.approx(energy + 0.25 * PARIS_NIGHT_MBPS * 2)


def test_transit_by_a_peak_is_a_rule_and_no_part_of_a_route(tmp_path: Path) -> None:
    found = built(tmp_path, DAY, transit("peak", "p95"))
    rule = only(found).rules.transit
    assert rule is not None
    assert rule.usd_per_mbps.tolist() == [2, 3]
    assert rule.free.tolist() == [0, 0.05]
    assert rule.slice_share == pytest.approx([0.75, 0.25])
    energy = 4 / 10 * 0.4 * 1.5 * 0.1 * DAY_H
    assert only(found).pair_usd[pair(found, "paris", "beta", "day")] == pytest.approx(energy)


def test_only_sites_that_bill_a_peak_are_in_the_rule(tmp_path: Path) -> None:
    rule = only(built(tmp_path, DAY, transit("mean", ""))).rules.transit  # peak is the default
    assert rule is not None
    assert rule.usd_per_mbps.tolist() == [0, 3]


def test_with_one_slice_the_peak_is_the_flow_and_needs_no_rule(tmp_path: Path) -> None:
    found = built(tmp_path, transit("peak", "p95"))
    assert only(found).rules.transit is None
    assert only(found).pair_usd[pair(found, "paris", "beta")] == pytest.approx(17.52 + PARIS_DAY_MBPS * 3)
    assert only(found).pair_usd[pair(found, "paris", "alpha")] == pytest.approx(17.52 + PARIS_DAY_MBPS * 2)


def test_the_default_penalty_counts_the_rows_own_peak(tmp_path: Path) -> None:
    services = tiny.FILES["services.csv"].replace(",unserved_usd_per_1000", "").replace("200,5,10,1", "200,5,10")
    found = built(tmp_path, DAY, transit("peak", "peak"), {"services.csv": services})
    names = [(row.region, row.slice) for row in found.names[0].demands]
    replicas = 0.8 * (100 + 10 + 100 + 21.9) / 2
    way = 4 / 10 * 0.4 * 1.5 * 0.1 * DAY_H + PARIS_DAY_MBPS * 3 + replicas  # beta is the dearer by its transit
    assert only(found).unserved_usd[names.index(("paris", "day"))] == pytest.approx(3 * way)
