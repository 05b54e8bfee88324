"""Rules 1 to 5 and 9: who is served where, on what, and over which wire."""

import math
from collections import defaultdict
from collections.abc import Iterable
from fractions import Fraction

from placement.audit.case import Case
from placement.audit.facts import Key
from placement.audit.month import Month, spell, spell_block, spell_route
from placement.audit.plan_files import PlanFiles
from placement.audit.plan_rows import BILLION, RouteRow
from placement.audit.report import Findings


def check_serving(month: Month, plan: PlanFiles, findings: Findings) -> None:
    """All rules on the routes of a normal day."""
    check_demand(month, plan, findings)
    check_latency(month.case, month.routes, findings)
    check_residency(month.case, month.routes, findings)
    check_capacity(month, findings)
    check_linking(month, month.routes, findings)
    check_wires(month, findings)
    check_spread(month, findings)


def check_demand(month: Month, plan: PlanFiles, findings: Findings) -> None:
    """(1) Σ_pd x + u = 1 for every class and slice, in parts per billion, exactly; of all rows that name the period."""
    demand, period = month.facts.demand, month.case.period.name
    total: dict[Key, int] = defaultdict(int)
    for route in plan.routes:
        if route.period == period and not route.failure:
            total[route.key] += route.share_ppb
    for left in month.unserved:
        total[left.key] += left.share_ppb
    for key in sorted(demand.keys() | total.keys()):
        if key not in demand:
            findings.check("1 demand", False, spell(key), "the scenario has no such demand")
            continue
        shares = total[key]
        findings.check(
            "1 demand",
            shares == BILLION,
            spell(key),
            f"shares and unserved sum to {shares}, not {BILLION}",
            Fraction(shares - BILLION, BILLION),
        )


def check_latency(case: Case, routes: Iterable[RouteRow], findings: Findings) -> None:
    """(2) round_trips·RTT_p95 + 8·kbyte_in/mbps + TTFT_p95 ≤ budget; loss and jitter within the service's limits.

    For a route of a failure the budget is that for backups.
    """
    for route in routes:
        service = case.facts.services[route.key[2]]
        network, reason = case.network.of_class(route.key, route.site)
        if network is None:
            findings.check("2 latency", False, spell_route(route), reason)
            continue
        findings.counted("2 latency", 1)
        planned = network + case.facts.shapes[route.shape].ttft_ms[service.profile]
        budget = service.backup_latency_budget_ms if route.failure else service.latency_budget_ms
        findings.at_most("2 latency", planned, budget, spell_route(route), "ms")


def check_residency(case: Case, routes: Iterable[RouteRow], findings: Findings) -> None:
    """(3) country, and vendor jurisdiction if the set says so, allowed; counts nothing where the rule is off."""
    if case.residency.sets is None:
        return
    known: dict[tuple[str, str, str], bool] = {}
    for route in routes:
        name = case.residency.set_of(case.facts, route.key)
        kind = (name, case.facts.countries[route.key[0]], route.site)
        if kind not in known:
            known[kind] = case.residency.allows(case.facts, route.key, route.site)
        if known[kind]:
            findings.counted("3 residency", 1)
            continue
        site = case.facts.sites[route.site]
        detail = f"the set {name!r} does not allow country {site.country!r} with vendor {site.vendor!r}"
        findings.check("3 residency", False, f"{spell(route.key)} at {route.site}", detail)


def check_capacity(month: Month, findings: Findings) -> None:
    """(4) Σ_i λ_it·x_ipdt / q_d ≤ y_pdt in every slice, with q_d that of the class's profile."""
    for (block, name), load in sorted(month.busy.items()):
        room = month.standing.get((block, name), 0)
        findings.at_most("4 replica capacity", load, room, spell_block(block, name), "replicas busy")


def check_linking(month: Month, routes: Iterable[RouteRow], findings: Findings) -> None:
    """(5) x ≤ y: a route ends at a replica that stands."""
    for route in routes:
        if month.standing.get((month.block(route), route.key[3]), 0) > 0:
            findings.counted("5 linking", 1)
        else:
            findings.check("5 linking", False, spell_route(route), "no replica of the shape stands there")


def check_wires(month: Month, findings: Findings) -> None:
    """(9) Σ 8·λ·kbyte_out/1000 ≤ uplink and the same of kbyte_in ≤ downlink, Mbit/s, in every slice."""
    up, down = month.wires
    for site, name in sorted(up):
        where, limits = site + (f" in {name}" if name else ""), month.facts.sites[site]
        findings.at_most("9 uplink", up[(site, name)], limits.uplink_mbps, where, "Mbit/s")
        findings.at_most("9 downlink", down[(site, name)], limits.downlink_mbps, where, "Mbit/s")


def check_spread(month: Month, findings: Findings) -> None:
    """(1) a class in a slice is served from at most `max_sites` sites, from each with `min_share` of it or not at all.

    Shares are whole parts per billion, each rounded down, so a site's may lack as many as it has routes of the class.
    """
    services = month.facts.services
    limited = {name for name, s in services.items() if s.min_share is not None or s.max_sites is not None}
    shares: dict[Key, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    routes: dict[tuple[Key, str], int] = defaultdict(int)
    for route in month.routes:
        if route.key[2] in limited and route.share_ppb:
            shares[route.key][route.site] += route.share_ppb
            routes[(route.key, route.site)] += 1
    for key, by_site in sorted(shares.items()):
        service = services[key[2]]
        findings.at_most("1 spread", len(by_site), service.max_sites, spell(key), "sites")
        if service.min_share is None:
            continue
        least = math.ceil(service.min_share * BILLION)
        for site, share_ppb in sorted(by_site.items()):
            detail = f"a share of {share_ppb} ppb where a used site takes at least {least}"
            whole = share_ppb + routes[(key, site)] >= least
            findings.check("1 spread", whole, f"{spell(key)} at {site}", detail)
