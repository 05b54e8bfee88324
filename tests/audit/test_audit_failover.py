"""Equation 13 under each policy, on backups written by hand: what a feed can express, and what not."""

from dataclasses import replace

import numpy as np
import pytest
from audit_whole_plan import FIRST
from audit_whole_tables import TABLES
from audit_world import frame
from audit_world_whole import scenario, whole_pairs

from placement.audit.case import open_cases
from placement.audit.failures import Backups, check_failures, failing_domains
from placement.audit.month import Month
from placement.audit.plan_rows import Replicas, RouteRow
from placement.audit.report import Findings

CHAT = ("norse", "m", "chat", "rush")
SITES = ("a", "b", "c", "d")
POOL = "domain,site,kind\n" + "".join(f"{site},{site},metro\n" for site in SITES)


def sites(names=SITES):
    """Sites that are all alike, with room for anything."""
    header = TABLES["sites"].strip().splitlines()[0]
    rows = [f"{site},edge,NO,60,11,99,99,9999,0,,0,0,0,1,,,," for site in names]
    return "\n".join([header, *rows])


def pairs(names=SITES):
    base = whole_pairs()
    size = (1, len(names))
    widened = {
        name: np.full(size, value.ravel()[0], value.dtype)
        for name, value in vars(base).items()
        if isinstance(value, np.ndarray)
    }
    return replace(base, sites=names, **widened)


def month(tmp_path, policy, normal, backups, domains=POOL):
    """One class of 10 requests/s: `normal` by site, and `backups` by domain and site, in parts per billion."""
    empty = ("jobs", "pins", "budgets", "deliveries", "fleet", "export", "energy")
    tables = dict.fromkeys(empty) | {"sites": sites(), "domains": domains}
    told = scenario(tmp_path, tables, {"reliability": {"failover": policy}})
    case = open_cases(told, pairs())[0]
    replicas = tuple(Replicas(site, "one", 9, period=FIRST) for site in SITES)
    routes = tuple(RouteRow(CHAT, site, "one", ppb, "", FIRST) for site, ppb in normal.items())
    extra = {
        name: tuple(RouteRow(CHAT, site, "one", ppb, name, FIRST) for site, ppb in by_site.items())
        for name, by_site in backups.items()
    }
    return Month(case, (), replicas, routes, extra, (), ())


def broken(*told):
    findings, one = Findings(), month(*told)
    check_failures(one, Backups(one.case), findings)
    return [(violation.rule, violation.subject) for violation in findings.violations]


def standing_in(told):
    """Sites that could stand in for CHAT."""
    case = open_cases(told, whole_pairs())[0]
    return Backups(case).sites(case.facts, CHAT)


def test_domains_fail_by_their_kind_or_all_of_them(tmp_path):
    by_kind = failing_domains(scenario(tmp_path))
    assert by_kind == {"metro-oslo": {"oslo"}, "metro-turku": {"turku"}}
    every = failing_domains(scenario(tmp_path, None, {"reliability": {"n_minus_1": ["all"]}}))
    assert every == by_kind | {"baltic": {"oslo", "turku"}}
    assert failing_domains(scenario(tmp_path, None, {"reliability": {"n_minus_1": []}})) == {}


def test_a_class_may_be_backed_up_where_some_shape_fits_in_time_and_country(tmp_path):
    case = open_cases(scenario(tmp_path), whole_pairs())[0]
    assert standing_in(scenario(tmp_path)) == {
        "oslo",
        "turku",
        "cloud",
    }  # 30, 40 and 60 ms with `quick`, 70 are allowed
    assert Backups(case).sites(case.facts, ("norse", "m", "bank", "day")) == {"oslo"}
    for budget in ("59.9", ""):  # without one of its own that of a normal day counts: 50
        tight = {"services": TABLES["services"].replace("nordic,2,,,70", f"nordic,2,,,{budget}")}
        assert standing_in(scenario(tmp_path, tight)) == {"oslo", "turku"}


def test_a_site_that_could_hold_no_server_backs_nobody_up(tmp_path):
    at_edge = {"servers": TABLES["servers"].replace("1200,any", "1200,edge")}
    assert standing_in(scenario(tmp_path, at_edge)) == {"oslo", "turku"}
    dark = {"sites": TABLES["sites"].replace("22,4,4,", "22,1.9,4,")}
    assert standing_in(scenario(tmp_path, dark)) == {"oslo", "cloud"}


NORMAL = {"a": 500_000_000, "b": 300_000_000, "c": 200_000_000}
# a's half goes to b and c as 3 to 2; b's .3 to a and c as 5 to 2: 214285714.28 and 85714285.71; c's .2 as 5 to 3
SHARED = {
    "a": {"b": 300_000_000, "c": 200_000_000},
    "b": {"a": 214_285_714, "c": 85_714_286},
    "c": {"a": 125_000_000, "b": 75_000_000},
}


@pytest.mark.parametrize("policy", ["planned", "proportional"])
def test_what_survives_takes_its_part_to_a_part_per_billion(policy, tmp_path):
    assert broken(tmp_path, policy, NORMAL, SHARED) == []


@pytest.mark.parametrize(
    ("backup", "named"),
    [
        ({"a": 214_285_715, "c": 85_714_285}, False),  # the other way to round
        ({"a": 214_285_716, "c": 85_714_284}, True),
        ({"a": 214_285_714, "c": 85_714_285, "d": 1}, False),  # a part per billion off, wherever it is
        ({"a": 214_285_714, "c": 85_714_284, "d": 2}, True),
        ({"a": 300_000_000}, True),
        ({"d": 300_000_000}, True),
    ],
)
def test_a_part_that_is_not_in_proportion_is_named(backup, named, tmp_path):
    found = broken(tmp_path, "proportional", NORMAL, SHARED | {"b": backup})
    assert found == ([("13 policy", "failure of b: norse/m/chat/rush")] if named else [])


def test_where_nothing_survives_proportions_leave_nothing(tmp_path):
    alone = {"a": 10**9}
    assert broken(tmp_path, "planned", alone, {"a": {"b": 10**9}}) == []
    assert broken(tmp_path, "proportional", alone, {"a": {"b": 10**9}}) == [
        ("13 policy", "failure of a: norse/m/chat/rush")
    ]


ORDERED = {"a": {"d": 500_000_000}, "b": {"d": 300_000_000}, "c": {"d": 200_000_000}}


def test_priority_sends_everything_to_one_place_by_one_order(tmp_path):
    assert broken(tmp_path, "priority", NORMAL, ORDERED) == []
    # d before a before the others
    assert broken(tmp_path, "priority", {"d": 10**9}, {"d": {"a": 10**9}}) == []


def test_priority_does_not_split(tmp_path):
    found = broken(tmp_path, "priority", NORMAL, ORDERED | {"b": {"d": 299_999_999, "a": 1}})
    assert found == [("13 policy", "failure of b: norse/m/chat/rush")]


def test_priority_does_not_prefer_both_of_two_places_that_stand(tmp_path):
    """b is preferred to d when a fails, d to b when c fails; when b fails only d is left of the two."""
    found = broken(tmp_path, "priority", NORMAL, ORDERED | {"a": {"b": 500_000_000}})
    assert found == [("13 policy", "norse/m/chat/rush")]
    fine = {"a": {"b": 500_000_000}, "b": {"d": 300_000_000}, "c": {"b": 200_000_000}}
    assert broken(tmp_path, "priority", NORMAL, fine) == []


def test_priority_has_no_circle_of_three_either(tmp_path):
    """Each two of a, b, c stand together in one failure alone, and prefer each other around."""
    domains = "domain,site,kind\n1,c,metro\n1,d,metro\n2,a,metro\n2,d,metro\n3,b,metro\n3,d,metro\n"
    around = {"1": {"a": 10**9}, "2": {"b": 10**9}, "3": {"c": 10**9}}  # a before b, b before c, c before a
    assert broken(tmp_path, "priority", {"d": 10**9}, around, domains) == [("13 policy", "norse/m/chat/rush")]
    straight = around | {"3": {"a": 10**9}}
    assert broken(tmp_path, "priority", {"d": 10**9}, straight, domains) == []
    assert broken(tmp_path, "planned", {"d": 10**9}, around, domains) == []


def test_reserve_is_shared_between_domains_and_never_summed(tmp_path):
    """9 replicas of 10 requests/s: with 85 of 100 on a and c each, d alone takes either, and could not take both."""
    demand = TABLES["demand"].replace("rush,2027-1,10", "rush,2027-1,170")
    tables = {"demand": frame("demand", demand)}
    one = month(tmp_path, "planned", {"a": 500_000_000, "c": 500_000_000}, {})
    case = one.case
    told = replace(case.scenario, tables={**case.scenario.tables, **tables})
    case = open_cases(told, pairs())[0]
    backups = {name: (RouteRow(CHAT, "d", "one", 500_000_000, name, FIRST),) for name in ("a", "c")}
    findings = Findings()
    check_failures(replace(one, case=case, backups=backups), Backups(case), findings)
    assert findings.violations == []
    both = frame("domains", "domain,site,kind\nx,a,metro\nx,c,metro\n")
    told = replace(told, tables={**told.tables, "domains": both})
    findings = Findings()
    backups = {"x": (RouteRow(CHAT, "d", "one", 10**9, "x", FIRST),)}
    case = open_cases(told, pairs())[0]
    check_failures(replace(one, case=case, backups=backups), Backups(case), findings)
    assert [(v.rule, v.excess) for v in findings.violations] == [("13 replica capacity", 8)]


@pytest.mark.parametrize("seed", range(6))
def test_sites_that_could_stand_in_are_those_of_all_that_are_near_enough_in_fractions(tmp_path, seed):
    """Round trips around the budget, on it to the last digit, and unknown; the nearest are asked first."""
    draw, names = np.random.default_rng(seed), tuple("pqrstuvwxyz")
    empty = ("jobs", "pins", "budgets", "deliveries", "fleet", "export", "energy")
    told = scenario(tmp_path, dict.fromkeys(empty) | {"sites": sites(names), "domains": POOL})
    found = open_cases(told, pairs(names))[0]
    service = found.facts.services["chat"]
    ttft = min(shape.ttft_ms[service.profile] for shape in found.facts.shapes.values() if shape.model == "m")
    limit_ms = float((service.backup_latency_budget_ms - ttft) / service.round_trips)
    rtt_ms = draw.choice([limit_ms, np.nan, limit_ms * 2, *(limit_ms * draw.uniform(0.5, 1.5, 4))], len(names))
    known = replace(pairs(names), rtt_p95_ms=rtt_ms[None, :], mbps=np.full((1, len(names)), 1e12))
    case = open_cases(told, known)[0]
    backups, near = Backups(case), []
    for name in names:
        network = case.network.network_ms(CHAT[0], service, name)
        if network is not None and network + ttft <= service.backup_latency_budget_ms:
            near.append(name)
    assert backups.sites(case.facts, CHAT) == set(near)
    down = frozenset(near[1:])
    assert Backups(case).outside(case.facts, CHAT, down) == bool(near)
    assert not Backups(case).outside(case.facts, CHAT, frozenset(near))
