"""Rules 10 and 12 between periods: what is bought stays, and each period installs and spends within its own limits."""

from collections import defaultdict
from collections.abc import Sequence
from fractions import Fraction

from placement.audit.facts import Way
from placement.audit.limits import capex_most_usd, capex_usd, is_install
from placement.audit.month import Month
from placement.audit.report import Findings

Held = dict[tuple[str, str, str, Way], int]
"""Servers by site, kind, tenant and way."""


def check_rollout(months: Sequence[Month], findings: Findings) -> tuple[Fraction, ...]:
    """(10, 12) for every period against the one before. Returns what is newly bought in each, USD of capex."""
    before: Held = {}
    spent = []
    for month in months:
        within = findings.within(month.case.period.name)
        now = held(month)
        grown = {key: now.get(key, 0) - before.get(key, 0) for key in now.keys() | before.keys()}
        for site, server, tenant, way in sorted(before):
            if way == "buy":
                lost = -grown[(site, server, tenant, way)]
                where = f"{server} at {site}" + (f" of {tenant}" if tenant else "")
                within.check("10 rollout", lost <= 0, where, f"{lost} that were bought before are gone", Fraction(lost))
        _check_installs(month, grown, within)
        usd = bought_usd(month, grown)
        within.at_most("12 capex", usd, capex_most_usd(month.case), "what is newly bought", "USD")
        spent.append(usd)
        before = now
    return tuple(spent)


def held(month: Month) -> Held:
    """New servers of a period by the way they are held."""
    found: Held = defaultdict(int)
    for row in month.servers:
        for way, count in row.by_way[1:]:
            found[(row.site, row.server, row.tenant, way)] += count
    return dict(found)


def bought_usd(month: Month, grown: Held) -> Fraction:
    """Capex of what stands more than before and is bought."""
    usd = Fraction(0)
    for (_, server, _, way), count in grown.items():
        usd += capex_usd(month.facts.servers[server], way) * max(count, 0)
    return usd


def _check_installs(month: Month, grown: Held, findings: Findings) -> None:
    """(10) servers set up in the period ≤ installs_per_period."""
    most = month.case.scenario.document.limits.installs_per_period
    if most is not None:
        count = sum(max(more, 0) for (site, _, _, way), more in grown.items() if is_install(month.case, site, way))
        findings.at_most("10 installs", count, most, "servers set up in the period", "servers")
