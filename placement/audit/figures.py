"""The plan's own figures, recomputed: served share, planned latency percentiles, periods, bounds and gap."""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Mapping, Sequence
from fractions import Fraction
from itertools import accumulate

from placement.audit.exact import exact
from placement.audit.money import Spent, check_cents, check_cost
from placement.audit.month import Month
from placement.audit.plan_files import PlanFiles
from placement.audit.plan_rows import BILLION
from placement.audit.report import Findings

PERCENTILES = {"p50_ms": Fraction(1, 2), "p95_ms": Fraction(95, 100), "p99_ms": Fraction(99, 100)}
SHARE_TOLERANCE = Fraction(1, 10**9)
MS_TOLERANCE = Fraction(1, 10**6)
GAP_TOLERANCE = Fraction(1, 10**6)
CENT = Fraction(1, 100)
CLAIM_TOLERANCE = Fraction(1, 10**6)  # a solver's own word is as good as its tolerances


def asked_and_left(month: Month) -> tuple[Fraction, Fraction]:
    """Mean requests a month that are asked for, and that are left unserved."""
    prices, demand = month.case.prices, month.facts.demand
    left = sum(row.share_ppb * prices.requests.units[row.key] for row in month.unserved if row.key in demand)
    return prices.all_requests, prices.requests.value(left) / BILLION


def served_share(months: Sequence[Month]) -> Fraction:
    """Share of the mean requests of all periods, by their months, that is served; 1 where there are none."""
    parts = [(month.case.period.months, asked_and_left(month)) for month in months]
    asked = sum((lasting * both[0] for lasting, both in parts), Fraction(0))
    left = sum((lasting * both[1] for lasting, both in parts), Fraction(0))
    return 1 - left / asked if asked else Fraction(1)


def waits(months: Sequence[Month]) -> list[tuple[Fraction, Fraction]]:
    """(planned ms, mean requests) of every way that routes take in a period, by its months, quickest first.

    Routes without a known latency are violations of rule 2 and left out.
    """
    found = []
    for month in months:
        requests, lasting = month.case.prices.requests, month.case.period.months / BILLION
        on_way: dict[tuple[str, str, str, str], int] = defaultdict(int)  # region, service, site, shape
        for route in month.routes:
            if month.case.network.of_class(route.key, route.site)[0] is not None:
                way = route.key[0], route.key[2], route.site, route.shape
                on_way[way] += route.share_ppb * requests.units[route.key]
        for way, served in on_way.items():
            found.append((_planned_ms(month, *way), lasting * requests.value(served)))
    return sorted(found, key=lambda wait: float(wait[0]))  # what floats do not tell apart is far within the tolerance


def _planned_ms(month: Month, region: str, service: str, site: str, shape: str) -> Fraction:
    """The planned latency of a way on which one is known."""
    of = month.facts.services[service]
    return (month.case.network.network_ms(region, of, site) or 0) + month.facts.shapes[shape].ttft_ms[of.profile]


def percentiles_ms(found: Sequence[tuple[Fraction, Fraction]]) -> dict[str, Fraction | None]:
    """The least planned latency within which a share of the served requests stays; None if none is served."""
    running = list(accumulate(weight for _, weight in found))
    if not running or not running[-1]:
        return dict.fromkeys(PERCENTILES)
    return {name: found[bisect_left(running, share * running[-1])][0] for name, share in PERCENTILES.items()}


def check_figures(months: Sequence[Month], plan: PlanFiles, findings: Findings) -> None:
    """Served share and percentiles as the plan states them."""
    if plan.served_share is not None:
        _check_share("served share", plan.served_share, served_share(months), findings)
    recomputed = percentiles_ms(waits(months))
    for name, value in recomputed.items():
        if name not in plan.latency_ms:
            continue
        said = plan.latency_ms[name]
        same = said is value if said is None or value is None else abs(said - value) <= MS_TOLERANCE
        detail = f"the plan says {_told(said)}, recomputed {_told(value)}"
        findings.check("latency percentiles", same, name, detail)


def _check_share(rule: str, said: Fraction, share: Fraction, findings: Findings) -> None:
    off = abs(said - share)
    detail = f"the plan says {float(said):.9f}, recomputed {float(share):.9f}"
    findings.check(rule, off <= SHARE_TOLERANCE, "served_share", detail, off)


def check_least_served(month: Month, findings: Findings) -> None:
    """(1) the least share of a month's mean requests that must be served in every period."""
    least = month.case.scenario.document.limits.min_served_share
    if least is not None:
        share = served_share([month])
        detail = f"{float(share):.9f} is served where {least:.9g} must be"
        short = exact(least) - share
        findings.check("1 served", short <= SHARE_TOLERANCE, "share served", detail, short)


def check_periods(
    months: Sequence[Month], parts: Sequence[Spent], capex_usd: Sequence[Fraction], plan: PlanFiles, findings: Findings
) -> None:
    """What the plan says of every period, in their order; nothing where there are none."""
    names = [month.case.period.name for month in months if month.case.period.name]
    said = [row.period for row in plan.periods]
    findings.check("periods", said == names, "periods", f"the plan tells of {said}, the scenario has {names}")
    by_name: Mapping[str, int] = {name: h for h, name in enumerate(names)}
    for row in plan.periods:
        if row.period not in by_name:
            continue
        h, within = by_name[row.period], findings.within(row.period)
        month, facts = months[h], months[h].facts
        lasting = month.case.period.months
        within.check(
            "periods", row.months == lasting, "months", f"the plan says {_told(row.months)}, it is {_told(lasting)}"
        )
        check_cost(row.cost, parts[h].usd, within)
        _check_share("periods", row.served_share, served_share([month]), within)
        check_cents("periods", "capex_usd", row.capex_usd, capex_usd[h], within)
        gpus = sum(int(facts.servers[s.server].gpus) * s.count for s in month.servers)
        dpus = sum(facts.servers[s.server].dpus * s.count for s in month.servers)
        within.check("periods", row.gpus == gpus, "gpus", f"the plan says {row.gpus}, {gpus} stand")
        within.check("periods", row.dpus == dpus, "dpus", f"the plan says {row.dpus}, {dpus} stand")


def gap(objective: Fraction, bound: Fraction, constant: Fraction) -> Fraction | None:
    """(z − L)/(z − C0), 0 if z = L to the half cent that z is rounded by; None where z ≤ C0 and there is no share."""
    if abs(objective - bound) <= Fraction(1, 200):
        return Fraction(0)
    return (objective - bound) / (objective - constant) if objective > constant else None


def check_bound(plan: PlanFiles, bound: Fraction | None, constant: Fraction, findings: Findings) -> Fraction | None:
    """What the plan says of its bound and gap is what the certificate proves; null says nothing. Returns the gap."""
    objective, said = plan.objective_usd_month, plan.bound_verified_usd_month
    if said is None:
        findings.notes.append("the plan states no verified bound")
    else:
        same = bound is not None and abs(said - bound) <= CENT
        detail = f"the plan says {_told(said)}, the certificate proves {_told(bound)}"
        findings.check("bound", same, "bound_verified_usd_month", detail)
    if objective is None:
        return None
    claimed = plan.bound_claimed_usd_month
    if bound is not None:
        findings.at_most("bound", bound, objective + CENT, "what the certificate proves", "USD")
    if claimed is not None:
        findings.at_most("bound", claimed, objective + CENT + abs(objective) * CLAIM_TOLERANCE, "the claim", "USD")
    proved = None if bound is None else gap(objective, bound, constant)
    if plan.gap is not None:
        same = proved is not None and abs(plan.gap - proved) <= GAP_TOLERANCE
        findings.check("gap", same, "gap", f"the plan says {_told(plan.gap)}, recomputed {_told(proved)}")
    return proved


def _told(value: Fraction | None) -> str:
    return "nothing" if value is None else f"{float(value):.9g}"
