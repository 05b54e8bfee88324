"""Chances and percentiles of inferred pairs as the auditor reads them, by hand; 60 is halfway from 40 to 90 in logs."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from audit_opened import case
from audit_planting import Case, audited
from audit_world import NAN, pairs

from placement.audit.intervals import Interval, interval_of, most_chance, percentile_ms
from placement.topology.pairs import Pairs

ENDS = Interval(Fraction(40), Fraction(90), Fraction(200))


def between(*ends_ms: float) -> Pairs:
    """The world's pairs with north to brest inferred between these ends."""
    names = ("rtt_lower_ms", "rtt_mid_ms", "rtt_upper_ms")
    return pairs(**{name: np.array([[20.0, end], [NAN, 10.0]]) for name, end in zip(names, ends_ms, strict=True)})


CHANCES = [
    ("39.999999", 0.0),
    ("40", 0.05),
    ("60", 0.275),
    ("89.9999999999", 0.5),
    ("90", 0.5),
    ("134.16407864998738", 0.725),  # √(90 · 200)
    ("200", 0.95),
    ("400", 0.9875),
    ("-5", 0.0),
]


@pytest.mark.parametrize(("limit", "chance"), CHANCES)
def test_a_chance_is_linear_in_logs_between_the_figures_and_falls_off_beyond(limit, chance):
    assert float(ENDS.chance(Fraction(limit))) == pytest.approx(chance, abs=1e-12)


@pytest.mark.parametrize("limit", [limit for limit, _ in CHANCES])
def test_the_arrays_are_never_below_the_chance_and_hardly_above_it(limit):
    found = most_chance(between(40.0, 90.0, 200.0), np.array([0]), 1, np.array([[float(limit)]]))[0, 0]
    exact = ENDS.chance(Fraction(limit))
    assert exact <= Fraction(float(found)) <= exact + Fraction(1, 10**11)


@pytest.mark.parametrize(
    ("share", "ms"), [("0.05", 40.0), ("0.275", 60.0), ("0.5", 90.0), ("0.725", 134.165), ("0.95", 200.0)]
)
def test_a_percentile_is_in_whole_microseconds_rounded_up(share, ms):
    assert percentile_ms(between(40.0, 90.0, 200.0), Fraction(share))[0, 1] == ms
    told = case(
        document={"uncertainty": {"percentile": float(share)}}, network={"rtt_state": np.array([[2, 1], [0, 2]])}
    )
    assert told.network.link("north", "alba").rtt_ms == 20  # measured


def test_an_interval_from_nothing_begins_where_logarithms_do():
    found = interval_of(between(0.0, 0.0, 90.0), (0, 1))
    assert found == Interval(Fraction(1, 100), Fraction(1, 100), Fraction(90))
    assert found.chance(Fraction(1, 200)) == 0
    assert found.chance(Fraction(1, 100)) == Fraction(1, 2)


@pytest.mark.parametrize(("limit", "chance"), [(89.0, 0.0), (90.0, 0.95), (180.0, 0.9875)])
def test_an_interval_of_one_figure_is_kept_from_there_on(limit, chance):
    found = interval_of(between(90.0, 90.0, 90.0), (0, 1))
    assert found is not None
    assert float(found.chance(Fraction(limit))) == pytest.approx(chance, abs=1e-12)
    most = most_chance(between(90.0, 90.0, 90.0), np.array([0]), 1, np.array([[limit]]))
    assert most[0, 0] == pytest.approx(chance, abs=1e-11)


@pytest.mark.parametrize(("limit", "chance"), [(19.999, 0.0), (20.0, 1.0)])
def test_a_measured_pair_keeps_its_p95_and_nothing_less(limit, chance):
    assert interval_of(pairs(), (0, 0)) is None
    assert most_chance(pairs(), np.array([0]), 0, np.array([[limit]]))[0, 0] == pytest.approx(chance, abs=1e-11)
    told = case()  # chat has 100 ms, 0.8 of them on the way up
    ttft = Fraction("99.2") - Fraction(str(limit))
    assert told.network.met("north", told.facts.services["chat"], "alba", ttft) == chance


def test_nothing_is_promised_of_an_unknown_pair():
    told = case()
    assert told.network.met("south", told.facts.services["chat"], "alba", Fraction(0)) == 0
    assert most_chance(pairs(), np.array([1]), 0, np.array([[1e9]]))[0, 0] == pytest.approx(0, abs=1e-11)


def test_being_late_is_a_cost_of_what_is_served_and_of_the_dearest_way_and_counts_against_the_budget(tmp_path):
    """10 USD a thousand. North's chat at brest has 68.4 ms: .49275 million · .05·(60/68.4)² of them late. North's code
    on one at brest has 72 ms: .9855 million · .05·(60/72)², 342.1875 USD; south's code costs six times as much more."""
    report = audited(Case("", "", toml={"uncertainty": {"late_usd_per_1000": 10.0}}), tmp_path)
    told = {violation.subject: violation.detail for violation in report.violations if violation.rule == "cost"}
    assert "recomputed 189.58" in told["late"]
    assert "recomputed 6579.07" in told["unserved south/m/code/day"]
    assert "12 budget" in {violation.rule for violation in report.violations}


def test_a_route_that_a_higher_percentile_forbids_is_named(tmp_path):
    """North's chat has 68.4 ms at brest: the median of 40 to 60 and 90 ms fits, 80 % of it does not."""
    network = {
        name: getattr(between(40.0, 60.0, 90.0), name) for name in ("rtt_lower_ms", "rtt_mid_ms", "rtt_upper_ms")
    }
    for share, fits in ((0.5, True), (0.8, False)):
        folder = tmp_path / str(share)
        folder.mkdir()
        report = audited(Case("", "", network=network, toml={"uncertainty": {"percentile": share}}), folder)
        assert ("2 latency" in {violation.rule for violation in report.violations}) != fits


def test_a_budget_counts_a_millionth_of_a_millionth_more_where_a_chance_is_asked_for():
    """South's chat takes 5 ms and the request's way up to brest: with so little less, a budget is kept."""
    opened = case()
    service, network = opened.facts.services["chat"], opened.network
    exact = network.network_ms("south", service, "brest")
    assert exact is not None
    for parts, met in ((0, 1), (Fraction(9, 10), 1), (Fraction(11, 10), 0), (2, 0)):
        short = replace(service, latency_budget_ms=exact * (1 - parts / Fraction(10**12)))
        assert network.met("south", short, "brest", Fraction(0)) == met


def test_nothing_is_known_between_a_place_that_the_pairs_hold_and_one_that_they_do_not():
    network = case().network
    for region, site in (("north", "nowhere"), ("nowhere", "brest"), ("nowhere", "nowhere")):
        assert network.link(region, site).rtt_ms is None
    assert network.link("south", "brest").rtt_ms is not None
