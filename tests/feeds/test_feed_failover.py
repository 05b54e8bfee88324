"""What a target would do by itself when a domain fails, held against the plan by the independent auditor."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from placement.feeds.failover import BrokenPromiseError, Failovers, rewritten
from placement.feeds.order import preferences
from placement.feeds.view import Addresses, Policy, Route
from placement.feeds.views import PlanViews, open_plan
from placement.scenario import Scenario
from tests.feeds.feed_world import view

CHAT = ("berlin", "m8", "chat")
ALL: frozenset[Policy] = frozenset({"planned", "proportional", "priority"})


@pytest.fixture(scope="module")
def three(three_sites_plan: tuple[Path, Scenario]) -> tuple[Path, PlanViews]:
    plan, scenario = three_sites_plan
    return plan, open_plan(plan, scenario, Addresses({}))


def test_a_target_that_only_keeps_proportions_is_refused_where_a_survivor_would_be_overloaded(
    three: tuple[Path, PlanViews],
) -> None:
    """Without alpha all 24 requests/s go to gamma: 2.4 replicas are busy where fewer stand."""
    failovers = Failovers(*three)
    with pytest.raises(BrokenPromiseError) as raised:
        failovers.of(frozenset({"proportional"}))
    assert "failure of metro-alpha: m8-one at gamma: 2.4 replicas busy where" in str(raised.value)
    assert 'plan with failover = "proportional"' in str(raised.value)
    assert "13 replica capacity" in {violation.rule for violation in failovers.broken("proportional")}
    with pytest.raises(BrokenPromiseError):
        failovers.of(ALL, wanted="priority")


def test_a_target_that_is_switched_does_what_the_plan_says(three: tuple[Path, PlanViews]) -> None:
    failovers = Failovers(*three)
    assert failovers.of(ALL) == "planned"
    assert failovers.of(frozenset({"planned"})) == "planned"


def test_what_routes_nothing_promises_nothing(three: tuple[Path, PlanViews]) -> None:
    assert Failovers(*three).of(frozenset()) is None


def test_left_to_itself_what_fails_goes_to_the_other_places_by_their_shares(three: tuple[Path, PlanViews]) -> None:
    _, views = three
    rows = rewritten(views, "proportional").to_pylist()
    normal = {row["site"]: row["share_ppb"] for row in rows if row["failure"] is None}
    moved = {(row["failure"], row["site"]): row["share_ppb"] for row in rows if row["failure"]}
    assert moved == {("metro-alpha", "gamma"): normal["alpha"], ("metro-gamma", "alpha"): normal["gamma"]}


def order(moved: Mapping[str, Mapping[str, int]], down: Mapping[str, set[str]]) -> tuple[str, ...]:
    """The order of chat, whose own site is fra, where the plan sends `moved` when domains of sites are `down`."""
    rows = {domain: tuple(Route(*CHAT, s, "m8-half", share) for s, share in to.items()) for domain, to in moved.items()}
    own = (Route(*CHAT, "fra", "m8-half", 10**9),)
    domains = {domain: frozenset(sites) for domain, sites in down.items()}
    return preferences(view(routes=own, backups=rows, domains=domains))[CHAT]


def test_who_is_chosen_while_another_stands_comes_before_it() -> None:
    assert order({"a": {"los": 9}, "b": {"ams": 9}}, {"a": {"fra"}, "b": {"fra", "los"}}) == ("los", "ams")
    assert order({"a": {"ams": 9}, "b": {"los": 9}}, {"a": {"fra"}, "b": {"fra", "ams"}}) == ("ams", "los")


def test_where_no_order_can_say_it_the_larger_comes_first() -> None:
    assert order({"a": {"los": 4, "ams": 5}}, {"a": {"fra"}}) == ("ams", "los")
    assert order({"a": {"los": 4}, "b": {"ams": 5}}, {"a": {"fra"}, "b": {"fra"}}) == ("ams", "los")


def test_a_class_own_sites_are_not_among_those_that_stand_in() -> None:
    assert order({"a": {"fra": 9, "los": 1}}, {"a": {"ams"}}) == ("los",)
