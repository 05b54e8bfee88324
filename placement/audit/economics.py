"""Revenue against cost, recomputed month by month: net present value and payback, of every site and of all.

Month m = 1 … N belongs to the period in which its middle lies; the last period's month repeats until N, the longest
life of the servers bought or the length of the roll-out, whichever is longer. Revenue R and cost C without capital fall
at the end of their month, capital K (capex and installation of what is newly bought) at the beginning of its period:

    NPV = Σ_m (R_m − C_m)/(1 + r)^m − Σ_h K_h/(1 + r)^(months before h),    payback = the first m with
    Σ_{j ≤ m} (R_j − C_j) − Σ K that is spent by then ≥ 0
"""

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from placement.audit.jobs import job_usd, read_jobs
from placement.audit.money import egress_usd, load_kwh
from placement.audit.month import Month
from placement.audit.plan_rows import BILLION, EarnedRow, Economics
from placement.audit.report import Findings
from placement.audit.rollout import Held, held

CENT = Fraction(1, 100)
FINEST = 10**40
"""Discounts are kept in units of 10^-40."""

Usd = dict[str, Fraction]
"""By site."""


@dataclass(frozen=True)
class Cash:
    """One period: by site a month's revenue and cost without capital, and what is bought when it begins."""

    revenue: Usd
    cost: Usd
    capital: Usd


def check_economics(months: Sequence[Month], plan: Economics | None, findings: Findings) -> None:
    """What the plan states of the worth of each site, where any service states its revenue."""
    facts = months[0].facts
    on = any(service.revenue_usd_per_1000 is not None for service in facts.services.values())
    if not on:
        findings.check("rule off", plan is None, "economics", "no service states its revenue")
        return
    if not findings.check("economics", plan is not None, "economics", "the plan says nothing of it") or plan is None:
        return
    cash, life = _cash(months)
    rate = facts.wacc / 12
    horizon = max(life, math.ceil(sum(month.case.period.months for month in months)), 1)
    detail = f"the plan says {plan.horizon_months} months, recomputed {horizon}"
    if not findings.check("economics", plan.horizon_months == horizon, "horizon_months", detail):
        return
    near = abs(plan.monthly_rate - rate) <= Fraction(1, 10**12)
    findings.check("economics", near, "monthly_rate", f"the plan says {float(plan.monthly_rate)}, it is {float(rate)}")
    period_of = _calendar([month.case.period.months for month in months], horizon)
    discount = _discounts(rate, horizon)
    sites = sorted({site for part in cash for usd in (part.revenue, part.cost, part.capital) for site in usd})
    said = {row.site: row for row in plan.sites}
    names = sorted(said)
    findings.check("economics", names == sites, "sites", f"the plan tells of {names}, recomputed {sites}")
    for site in sites:
        if site in said:
            flows = [tuple(usd.get(site, Fraction(0)) for usd in (p.revenue, p.cost, p.capital)) for p in cash]
            _check(said[site], site, flows, period_of, discount, findings)
    whole = [tuple(sum(usd.values(), Fraction(0)) for usd in (p.revenue, p.cost, p.capital)) for p in cash]
    _check(plan.total, "all sites", whole, period_of, discount, findings)


def _check(
    said: EarnedRow,
    where: str,
    flows: Sequence[tuple[Fraction, ...]],
    period_of: Sequence[int],
    discount: Sequence[Fraction],
    findings: Findings,
) -> None:
    """One site's figures, or those of all; month figures are those of the last period."""
    npv, payback = worth(flows, period_of, discount)
    revenue, cost, _ = flows[-1]
    spent = sum((capital for _, _, capital in flows), Fraction(0))
    told = (
        ("revenue_usd_month", said.revenue_usd_month, revenue),
        ("npv_usd", said.npv_usd, npv),
        ("cost_usd_month", said.cost_usd_month, cost),
        ("capex_usd", said.capex_usd, spent),
    )
    for what, figure, value in told:
        if figure is not None:
            detail = f"the plan says {what} {float(figure):.2f}, recomputed {float(value):.2f}"
            findings.check("economics", abs(figure - value) <= CENT, where, detail, abs(figure - value))
    detail = f"the plan says it is paid back after {said.payback_months} months, recomputed {payback}"
    findings.check("economics", said.payback_months == payback, where, detail)


def worth(
    flows: Sequence[tuple[Fraction, ...]], period_of: Sequence[int], discount: Sequence[Fraction]
) -> tuple[Fraction, int | None]:
    """NPV and payback of (revenue, cost, capital) by period; `period_of` each month, `discount` after so many."""
    npv, so_far, payback, begun = Fraction(0), Fraction(0), None, 0
    for m, period in enumerate(period_of):
        while begun <= period:  # a period without a month of its own begins with the next
            npv -= flows[begun][2] * discount[m]
            so_far -= flows[begun][2]
            begun += 1
        net = flows[period][0] - flows[period][1]
        npv += net * discount[m + 1]
        so_far += net
        if payback is None and so_far >= 0:
            payback = m + 1
    return npv, payback


def _calendar(months: Sequence[Fraction], horizon: int) -> list[int]:
    """The period of each month: that in which its middle lies, at an end the later one; then the last."""
    ends = [sum(months[: h + 1], Fraction(0)) for h in range(len(months))]
    found = []
    for m in range(horizon):
        middle = m + Fraction(1, 2)
        found.append(next((h for h, end in enumerate(ends) if middle < end), len(months) - 1))
    return found


def _discounts(rate: Fraction, horizon: int) -> list[Fraction]:
    found = [Fraction(1)]
    for _ in range(horizon):
        found.append(Fraction(round(found[-1] / (1 + rate) * FINEST), FINEST))
    return found


def _cash(months: Sequence[Month]) -> tuple[list[Cash], int]:
    """The cash of every period, and the longest life of what is bought, months."""
    found, life = [], 0
    before: Held = {}
    for month in months:
        now = held(month)
        capital: Usd = defaultdict(Fraction)
        for (site, name, tenant, way), count in now.items():
            more = count - before.get((site, name, tenant, way), 0)
            if way == "buy" and more > 0:
                server = month.facts.servers[name]
                capital[site] += more * ((server.capex_usd or 0) + server.install_usd)
                life = max(life, int(server.months))
        found.append(Cash(_revenue(month), _cost(month), dict(capital)))
        before = now
    return found, life


def _revenue(month: Month) -> Usd:
    """What served mean requests earn at the site that serves them."""
    found: Usd = defaultdict(Fraction)
    for route in month.routes:
        price = month.facts.services[route.key[2]].revenue_usd_per_1000 or 0
        found[route.site] += route.share_ppb * month.case.prices.requests_month(route.key) / BILLION * price / 1000
    return dict(found)


def _cost(month: Month) -> Usd:
    """Support, rent, power and place, energy, the open site, egress and the jobs that run there."""
    facts, prices = month.facts, month.case.prices
    found: Usd = defaultdict(Fraction)
    for row in month.servers:
        server = facts.servers[row.server]
        found[row.site] += row.rented * (server.rent_usd_month or 0) + row.new * server.support_usd_month
        found[row.site] += row.count * prices.power_space_usd(row.site, server)
        found[row.site] += row.count * prices.idle_energy_usd(row.site, server)
    for site in {row.site for row in month.servers if row.count}:
        found[site] += facts.sites[site].open_usd_month
    for (site, name), kwh in load_kwh(month).items():
        found[site] += kwh * facts.usd_per_kwh[(site, name)]
    for site, usd in egress_usd(month).items():
        found[site] += usd
    jobs = read_jobs(month.case.scenario, month.case.periods[0].name)
    for run in month.jobs:
        if run.job in jobs:
            found[run.site] += job_usd(month.case, jobs[run.job], run)
    return dict(found)
