"""Rules 1 to 5 and 9: who is served where, on what, and over which wire."""

from collections import defaultdict
from collections.abc import Iterable
from fractions import Fraction

from placement.audit.case import Case
from placement.audit.facts import Facts, Key
from placement.audit.plan_files import BILLION, PlanFiles
from placement.audit.report import Findings
from placement.audit.route_table import RouteRow


def check_serving(case: Case, plan: PlanFiles, findings: Findings) -> tuple[RouteRow, ...]:
    """All rules on the routes. Returns those whose names the scenario knows; the others are violations by now."""
    routes = _known_routes(case.facts, plan, findings)
    check_demand(case.facts, plan, findings)
    check_latency(case, routes, findings)
    check_residency(case, routes, findings)
    check_capacity(case.facts, plan, routes, findings)
    check_linking(plan, routes, findings)
    check_wires(case.facts, routes, findings)
    return routes


def spell(key: Key) -> str:
    """A class in a slice, as the messages name it."""
    return "/".join(part for part in key if part)


def check_demand(facts: Facts, plan: PlanFiles, findings: Findings) -> None:
    """(1) Σ_pd x + u = 1 for every class and slice, in parts per billion, exactly."""
    total: dict[Key, int] = defaultdict(int)
    for route in plan.routes:
        total[route.key] += route.share_ppb
    for left in plan.unserved:
        total[left.key] += left.share_ppb
    for key in sorted(facts.demand.keys() | total.keys()):
        if key not in facts.demand:
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
    """(2) round_trips·RTT_p95 + 8·kbyte_in/mbps + TTFT_p95 ≤ budget; loss and jitter within the service's limits."""
    for route in routes:
        where = f"{spell(route.key)} to {route.shape} at {route.site}"
        service = case.facts.services[route.key[2]]
        network, reason = case.network.why_not(route.key[0], service, route.site)
        findings.check("2 latency", network is not None, where, reason)
        if network is None:
            continue
        planned = network + case.facts.shapes[route.shape].ttft_ms[service.profile]
        findings.at_most("2 latency", planned, service.latency_budget_ms, where, "ms")


def check_residency(case: Case, routes: Iterable[RouteRow], findings: Findings) -> None:
    """(3) country, and vendor jurisdiction if the set says so, allowed; counts nothing where the rule is off."""
    if case.residency.sets is None:
        return
    for route in routes:
        site = case.facts.sites[route.site]
        findings.check(
            "3 residency",
            case.residency.allows(case.facts, route.key, route.site),
            f"{spell(route.key)} at {route.site}",
            f"the set {case.residency.set_of(case.facts, route.key)!r} does not allow "
            f"country {site.country!r} with vendor {site.vendor!r}",
        )


def check_capacity(facts: Facts, plan: PlanFiles, routes: Iterable[RouteRow], findings: Findings) -> None:
    """(4) Σ_i λ_it·x_ipdt / q_d ≤ y_pd in every slice, with q_d that of the class's profile."""
    replicas = {(row.site, row.shape): row.count for row in plan.replicas}
    rate: dict[tuple[str, str, str, str], Fraction] = defaultdict(Fraction)  # site, shape, slice, profile
    for route in routes:
        profile = facts.services[route.key[2]].profile
        share = Fraction(route.share_ppb, BILLION)
        rate[(route.site, route.shape, route.key[3], profile)] += share * facts.demand[route.key].requests_per_s
    busy: dict[tuple[str, str, str], Fraction] = defaultdict(Fraction)
    for (site, shape, name, profile), requests_per_s in rate.items():
        busy[(site, shape, name)] += requests_per_s / facts.shapes[shape].requests_per_s[profile]
    for (site, shape, name), load in sorted(busy.items()):
        where = f"{shape} at {site}" + (f" in {name}" if name else "")
        findings.at_most("4 replica capacity", load, replicas.get((site, shape), 0), where, "replicas busy")


def check_linking(plan: PlanFiles, routes: Iterable[RouteRow], findings: Findings) -> None:
    """(5) x ≤ y: a route ends at a replica that stands."""
    stands = {(row.site, row.shape) for row in plan.replicas if row.count > 0}
    for route in routes:
        findings.check(
            "5 linking",
            (route.site, route.shape) in stands,
            f"{spell(route.key)} to {route.shape} at {route.site}",
            "no replica of the shape stands there",
        )


def check_wires(facts: Facts, routes: Iterable[RouteRow], findings: Findings) -> None:
    """(9) Σ 8·λ·kbyte_out/1000 ≤ uplink and the same of kbyte_in ≤ downlink, Mbit/s, in every slice."""
    up: dict[tuple[str, str], Fraction] = defaultdict(Fraction)
    down: dict[tuple[str, str], Fraction] = defaultdict(Fraction)
    for route in routes:
        service = facts.services[route.key[2]]
        megabits = facts.demand[route.key].requests_per_s * route.share_ppb / BILLION * 8 / 1000
        up[(route.site, route.key[3])] += megabits * service.kbyte_out
        down[(route.site, route.key[3])] += megabits * service.kbyte_in
    for (site, name), used in sorted(up.items()):
        where = site + (f" in {name}" if name else "")
        findings.at_most("9 uplink", used, facts.sites[site].uplink_mbps, where, "Mbit/s")
        findings.at_most("9 downlink", down[(site, name)], facts.sites[site].downlink_mbps, where, "Mbit/s")


def _known_routes(facts: Facts, plan: PlanFiles, findings: Findings) -> tuple[RouteRow, ...]:
    """Routes whose class, site and shape exist and whose shape runs the model for the service's profile."""
    return tuple(route for route in plan.routes if _is_known(facts, route, findings))


def _is_known(facts: Facts, route: RouteRow, findings: Findings) -> bool:
    where = f"{spell(route.key)} to {route.shape} at {route.site}"
    if not findings.check("format", route.site in facts.sites, where, f"there is no site {route.site!r}"):
        return False
    if not findings.check("format", route.shape in facts.shapes, where, f"there is no shape {route.shape!r}"):
        return False
    if route.key not in facts.demand:
        return False  # rule 1 names it
    shape, profile = facts.shapes[route.shape], facts.services[route.key[2]].profile
    runs = shape.model == route.key[1]
    findings.check("4 replica capacity", runs, where, f"the shape runs {shape.model}")
    fit = profile in shape.requests_per_s
    findings.check("4 replica capacity", fit, where, f"the shape has no capacity for the profile {profile}")
    return runs and fit
