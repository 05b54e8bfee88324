"""The plan's cost, recomputed kind by kind to the cent; its objective; and the monthly budget of rule 12."""

from collections.abc import Iterable
from fractions import Fraction
from typing import TypeAlias

from placement.audit.case import Case
from placement.audit.exact import cents, settled
from placement.audit.limits import monthly_budget_usd
from placement.audit.penalties import Penalties
from placement.audit.plan_files import BILLION, COST_KINDS, PlanFiles, Standing
from placement.audit.report import Findings
from placement.audit.route_table import RouteRow
from placement.audit.serving import spell

TIE_USD, TIE = Fraction(1, 10**6), Fraction(1, 10**12)
"""A sum this near to half a cent, in USD and relative to itself, may be rounded either way."""

Served: TypeAlias = tuple[RouteRow, Fraction]
"""A route and its planned latency, ms."""


def planned(case: Case, routes: Iterable[RouteRow]) -> tuple[Served, ...]:
    """Routes with their planned latency; those without a known one are violations of rule 2 and drop out here."""
    found = []
    for route in routes:
        service = case.facts.services[route.key[2]]
        network = case.network.network_ms(route.key[0], service, route.site)
        if network is not None:
            found.append((route, network + case.facts.shapes[route.shape].ttft_ms[service.profile]))
    return tuple(found)


def cost_usd(
    case: Case, penalties: Penalties, plan: PlanFiles, servers: Iterable[Standing], served: Iterable[Served]
) -> dict[str, Fraction]:
    """USD a month by kind, exactly (each term settled to 10^-30 USD)."""
    facts, prices = case.facts, case.prices
    usd = dict.fromkeys(COST_KINDS, Fraction(0))
    for row in servers:
        server = facts.servers[row.server]
        usd["servers"] += row.new * prices.bought_usd(server)
        usd["support"] += row.new * server.support_usd_month
        usd["power_space"] += row.count * prices.power_space_usd(row.site, server)
        usd["idle_energy"] += row.count * prices.idle_energy_usd(row.site, server)
    for site in {row.site for row in servers if row.count > 0}:
        usd["open_sites"] += facts.sites[site].open_usd_month
    for route, latency_ms in served:
        share = Fraction(route.share_ppb, BILLION)
        usd["load_energy"] += settled(share * prices.load_energy_usd(route.key, route.site, route.shape))
        usd["egress"] += settled(share * prices.egress_usd(route.key, route.site))
        usd["latency"] += settled(share * prices.waiting_usd(route.key, latency_ms))
    for left in plan.unserved:
        if left.key in facts.demand:
            usd["unserved"] += settled(Fraction(left.share_ppb, BILLION) * penalties.usd(left.key))
    return usd


def check_money(
    case: Case,
    penalties: Penalties,
    plan: PlanFiles,
    servers: tuple[Standing, ...],
    served: tuple[Served, ...],
    findings: Findings,
) -> None:
    """Every entry of the cost, its total, the objective, the price of what is unserved, and the monthly budget."""
    usd = cost_usd(case, penalties, plan, servers, served)
    total = sum(usd.values(), Fraction(0))
    for kind, value in (*usd.items(), ("total", total)):
        if kind in plan.cost:
            check_cents("cost", kind, plan.cost[kind], value, findings)
    for left in plan.unserved:
        if left.key in case.facts.demand and left.usd_month is not None:
            penalty = Fraction(left.share_ppb, BILLION) * penalties.usd(left.key)
            check_cents("cost", f"unserved {spell(left.key)}", left.usd_month, penalty, findings)
    if plan.objective_usd_month is not None:
        check_cents("objective", "objective_usd_month", plan.objective_usd_month, total, findings)
        same = plan.cost.get("total") in (None, plan.objective_usd_month)
        findings.check("objective", same, "objective_usd_month", "is not the total of the cost")
    budget = monthly_budget_usd(case)
    findings.at_most("12 budget", total - usd["unserved"], budget, "the plan's month without the unserved", "USD")


def check_cents(rule: str, subject: str, said: Fraction, value: Fraction, findings: Findings) -> None:
    """Whether `said` is whole cents and `value` rounded to them."""
    whole = (said * 100).denominator == 1
    findings.check(rule, whole, subject, f"{float(said)} USD is no whole number of cents")
    near = abs(said - value) <= Fraction(1, 200) + TIE_USD + TIE * abs(value)
    detail = f"the plan says {float(said):.2f} USD, recomputed {cents(value) / 100:.2f}"
    findings.check(rule, near or not whole, subject, detail, abs(said - value))
