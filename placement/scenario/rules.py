"""Which rules a scenario switches on, in words: what a plan of it will honour."""

from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd

from placement.scenario.document import ALL_DOMAINS, Document
from placement.scenario.scenario import Scenario


@dataclass(frozen=True, slots=True)
class RuleOn:
    """A rule by the name of its table or key, and what it says."""

    rule: str
    says: str


def rules_on(scenario: Scenario) -> tuple[RuleOn, ...]:
    """The rules that are on, in the order of the equations."""
    document = scenario.document
    return tuple(
        RuleOn(rule, says)
        for rule, says in (
            *_services(scenario),
            *_times(scenario),
            *_supply(scenario),
            *_network(scenario),
            *_failures(scenario),
            *_moves(scenario),
            *_document(document),
        )
        if says
    )


def _services(scenario: Scenario) -> Iterator[tuple[str, str]]:
    services = scenario.table("services")
    tenants = services.loc[services["dedicated"] == "yes", "tenant"].nunique()
    yield "residency", _count(scenario.table("residency")["residency"].nunique(), "residency set")
    yield "dedicated", _count(tenants, "tenant on servers of its own", "tenants on servers of their own")
    yield (
        "min_share",
        _count(int((services["min_share"] > 0).sum()), "service without slivers", "services without slivers"),
    )
    yield "max_sites", _count(int(services["max_sites"].notna().sum()), "service of few sites", "services of few sites")
    yield "revenue", "revenue is reported" if services["revenue_usd_per_1000"].notna().any() else ""


def _times(scenario: Scenario) -> Iterator[tuple[str, str]]:
    demand = scenario.table("demand")
    slices, periods = _named(demand["slice"]), _named(demand["period"])
    follow = ", replicas follow them" if scenario.document.limits.replicas_follow_slices else ", replicas stay"
    yield "slices", f"{_count(len(slices), 'slice')}{follow}" if slices else ""
    yield "periods", f"{_count(len(periods), 'period')} ({periods[0]} to {periods[-1]})" if periods else ""


def _supply(scenario: Scenario) -> Iterator[tuple[str, str]]:
    servers, sites = scenario.table("servers"), scenario.table("sites")
    quantity = int(scenario.table("deliveries")["quantity"].sum())
    budgets = scenario.table("budgets")
    yield "fleet", _count(int(scenario.table("fleet")["count"].sum()), "server stands today", "servers stand today")
    yield "deliveries", _count(quantity, "server delivered", "servers delivered") if scenario.has("deliveries") else ""
    yield (
        "rent",
        _count(int(servers["rent_usd_month"].notna().sum()), "kind of server for rent", "kinds of servers for rent"),
    )
    yield "cloud", _count(int((sites["kind"] == "cloud").sum()), "cloud site")
    yield "export", _count(len(scenario.table("export")), "export limit")
    for column, what in (("capex_usd", "budget of capex"), ("monthly_usd", "monthly budget")):
        yield column, _count(int(budgets[column].notna().sum()), what, what.replace("budget", "budgets"))


def _network(scenario: Scenario) -> Iterator[tuple[str, str]]:
    sites = scenario.table("sites")
    paid = sites[sites["transit_usd_per_mbps_month"].notna()]
    for way, count in sorted(paid["transit_billing"].value_counts().items()):
        yield "transit", f"transit by {way} at {_count(int(count), 'site')}"


def _failures(scenario: Scenario) -> Iterator[tuple[str, str]]:
    kinds, domains = scenario.document.reliability.n_minus_1, scenario.table("domains")
    if not kinds:
        return
    names = domains["domain"] if ALL_DOMAINS in kinds else domains.loc[domains["kind"].isin(kinds), "domain"]
    over = "all domains" if ALL_DOMAINS in kinds else " and ".join(kinds)
    policy = scenario.document.reliability.failover
    yield "n_minus_1", f"N-1 over {over} ({_count(names.nunique(), 'domain')}, {policy})"


def _moves(scenario: Scenario) -> Iterator[tuple[str, str]]:
    stability = scenario.document.stability
    yield "pins", _count(len(scenario.table("pins")), "pin")
    yield "previous_plan", f"moves from {stability.previous_plan}" if stability.previous_plan else ""
    yield "max_moves", f"at most {stability.max_moves} moves" if stability.max_moves is not None else ""
    yield "usd_per_move", f"{stability.usd_per_move:g} USD a move" if stability.usd_per_move else ""
    yield "jobs", _count(len(scenario.table("jobs")), "job")


def _document(document: Document) -> Iterator[tuple[str, str]]:
    limits, objective = document.limits, document.objective
    installs, carbon, served = limits.installs_per_period, limits.max_tco2e_month, limits.min_served_share
    yield "installs_per_period", f"at most {installs} installs a period" if installs is not None else ""
    yield "max_tco2e_month", f"at most {carbon:g} tCO2e a month" if carbon is not None else ""
    yield "usd_per_tco2e", f"{objective.usd_per_tco2e:g} USD a tCO2e" if objective.usd_per_tco2e else ""
    yield "min_served_share", f"at least {served:.4%} served" if served else ""
    yield "goals", f"goals: {', then '.join(objective.goals)}" if objective.goals != ("cost",) else ""


def _named(values: "pd.Series[str]") -> list[str]:
    return sorted(set(values) - {""})


def _count(number: int, one: str, many: str = "") -> str:
    """ "3 jobs"; "" for none."""
    return f"{number:,} {one if number == 1 else many or one + 's'}" if number else ""
