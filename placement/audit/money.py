"""The plan's cost, recomputed kind by kind to the cent; its objective; and the monthly budget of rule 12."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from placement.audit.carbon import Emitted, emitted
from placement.audit.exact import cents, exact, settled
from placement.audit.facts import Key
from placement.audit.jobs import job_usd, read_jobs
from placement.audit.limits import monthly_budget_usd
from placement.audit.met import late_requests
from placement.audit.month import Month, spell
from placement.audit.penalties import Penalties
from placement.audit.plan_files import COST_KINDS, PlanFiles
from placement.audit.plan_rows import BILLION
from placement.audit.prices import FREE_SHARE, KBYTE_PER_GB
from placement.audit.report import Findings

TIE_USD, TIE = Fraction(1, 10**6), Fraction(1, 10**12)
"""A sum this near to half a cent, in USD and relative to itself, may be rounded either way."""


@dataclass(frozen=True)
class Spent:
    """What a month of a period costs and emits, and how long users wait in it."""

    usd: Mapping[str, Fraction]  # by kind
    emission: Emitted
    request_ms: Fraction  # mean requests of the month times their planned latency

    @property
    def total(self) -> Fraction:
        return sum(self.usd.values(), Fraction(0))


def spent(month: Month, penalties: Penalties, added: int) -> Spent:
    """USD a month by kind, exactly (what divides by a capacity is settled to 10^-30); `added` replicas are paid for."""
    facts, prices, period = month.facts, month.case.prices, month.case.period
    kwh, waiting = load_kwh(month), request_ms(month)
    emission = emitted(month, kwh)
    usd = dict.fromkeys(COST_KINDS, Fraction(0))
    for row in month.servers:
        server = facts.servers[row.server]
        for way, count in row.by_way:
            if count and way in ("fleet", *server.new_ways):
                usd["servers"] += count * prices.capital_usd(server, way)
                usd["support"] += count * prices.support_usd(server, way)
        usd["power_space"] += row.count * prices.power_space_usd(row.site, server)
        usd["idle_energy"] += row.count * prices.idle_energy_usd(row.site, server)
    for site in {row.site for row in month.servers if row.count > 0}:
        usd["open_sites"] += facts.sites[site].open_usd_month
    usd["load_energy"] = sum((amount * facts.usd_per_kwh[at] for at, amount in kwh.items()), Fraction(0))
    usd["egress"] = sum(egress_usd(month).values(), Fraction(0))
    usd["latency"] = facts.latency_usd_per_million_request_ms * waiting / 10**6
    if facts.late_usd_per_1000:
        usd["late"] = facts.late_usd_per_1000 * late_requests(month) / 1000
    jobs = read_jobs(month.case.scenario, month.case.periods[0].name)
    for run in month.jobs:
        if run.job in jobs:
            usd["jobs"] += job_usd(month.case, jobs[run.job], run)
    move_usd = month.case.scenario.document.stability.usd_per_move
    if move_usd is not None:
        usd["moves"] = exact(move_usd) * added / period.months
    usd["carbon"] = settled(prices.carbon_usd(emission.total or Fraction(0)))
    for left in month.unserved:
        if left.key in facts.demand:
            usd["unserved"] += settled(Fraction(left.share_ppb, BILLION) * penalties.usd(left.key))
    return Spent(usd, emission, waiting)


def load_kwh(month: Month) -> dict[tuple[str, str], Fraction]:
    """Energy above idle of what is served, by site and slice, as the meter of the site counts it."""
    facts, busy_kw = month.facts, month.case.prices.busy_kw
    rates, parts = facts.mean_rates, defaultdict[tuple[str, str, str, str], int](int)  # site, slice, shape, profile
    for route in month.routes:
        profile = facts.services[route.key[2]].profile
        parts[(route.site, route.key[3], route.shape, profile)] += route.share_ppb * rates.units[route.key]
    found: dict[tuple[str, str], Fraction] = defaultdict(Fraction)
    for (site, name, shape_name, profile), rate in parts.items():
        shape = facts.shapes[shape_name]
        busy = rates.value(rate) / BILLION / shape.requests_per_s[profile]
        kw = busy * shape.gpus * busy_kw.get(shape.gpu, Fraction(0)) * facts.sites[site].pue
        found[(site, name)] += settled(kw * facts.hours[name])
    return dict(found)


def request_ms(month: Month) -> Fraction:
    """Σ mean requests a month · planned ms; routes without a known latency are violations of rule 2 and count none."""
    facts, network, requests = month.facts, month.case.network, month.case.prices.requests
    on_way: dict[tuple[str, str, str], int] = defaultdict(int)  # region, service, site: requests
    on_shape: dict[tuple[str, str], int] = defaultdict(int)  # shape, profile: requests
    sample: dict[tuple[str, str, str], Key] = {}
    for route in month.routes:
        way, served = (route.key[0], route.key[2], route.site), route.share_ppb * requests.units[route.key]
        if network.of_class(route.key, route.site)[0] is not None:
            sample[way] = route.key
            on_way[way] += served
            on_shape[(route.shape, facts.services[route.key[2]].profile)] += served
    total = Fraction(0)
    for way, served in on_way.items():
        total += settled(requests.value(served) / BILLION * (network.of_class(sample[way], way[2])[0] or 0))
    for (shape, profile), served in on_shape.items():
        total += requests.value(served) / BILLION * facts.shapes[shape].ttft_ms[profile]
    return total


def egress_usd(month: Month) -> dict[str, Fraction]:
    """Answers sent, by site: by the GB on mean rates, or transit by the Mbit/s at design rates, as it is billed."""
    facts, prices = month.facts, month.case.prices
    parts: dict[tuple[str, str], int] = defaultdict(int)  # site, service: requests
    for route in month.routes:
        if facts.sites[route.site].transit_usd_per_mbps_month is None:
            parts[(route.site, route.key[2])] += route.share_ppb * prices.requests.units[route.key]
    usd: dict[str, Fraction] = defaultdict(Fraction)
    for (name, service), requests in parts.items():
        gigabytes = prices.requests.value(requests) / BILLION * facts.services[service].kbyte_out / KBYTE_PER_GB
        usd[name] += gigabytes * facts.sites[name].egress_usd_per_gb
    flows: dict[str, dict[str, Fraction]] = defaultdict(dict)
    for (name, slice_name), mbps in month.wires[0].items():
        flows[name][slice_name] = mbps
    day = {name: prices.slice_share(name) for name in facts.hours}
    for name, flow in flows.items():
        site = facts.sites[name]
        if site.transit_usd_per_mbps_month is not None:
            usd[name] = site.transit_usd_per_mbps_month * billed_mbps(site.transit_billing, flow, day)
    return dict(usd)


def billed_mbps(billing: str, flow: Mapping[str, Fraction], day: Mapping[str, Fraction]) -> Fraction:
    """The Mbit/s that transit is paid for, of the flow by slice and each slice's share of the day.

    mean: over the day. peak: the busiest slice. p95: the busiest that is left when slices, the busiest first, are left
    out as long as they together last at most 5 % of the day.
    """
    if billing not in FREE_SHARE:
        return sum((share * flow.get(name, Fraction(0)) for name, share in day.items()), Fraction(0))
    left_out = Fraction(0)
    for mbps, share in sorted(((flow.get(name, Fraction(0)), share) for name, share in day.items()), reverse=True):
        left_out += share
        if left_out > FREE_SHARE[billing]:
            return mbps
    return Fraction(0)


def mean_usd(months: Sequence[Month], parts: Sequence[Spent]) -> dict[str, Fraction]:
    """USD a month by kind, the mean over the periods by their months."""
    lasting = [month.case.period.months for month in months]
    return {
        kind: sum((m * part.usd[kind] for m, part in zip(lasting, parts, strict=True)), Fraction(0)) / sum(lasting)
        for kind in COST_KINDS
    }


def check_month(month: Month, penalties: Penalties, part: Spent, findings: Findings) -> None:
    """What each unserved class costs, and the monthly budget of the period."""
    for left in month.unserved:
        if left.key in month.facts.demand and left.usd_month is not None:
            penalty = Fraction(left.share_ppb, BILLION) * penalties.usd(left.key)
            check_cents("cost", f"unserved {spell(left.key)}", left.usd_month, penalty, findings)
    budget, rest = monthly_budget_usd(month.case), part.total - part.usd["unserved"]
    findings.at_most("12 budget", rest, budget, "the plan's month without the unserved", "USD")


def check_jobs_usd(month: Month, findings: Findings) -> None:
    """What each job costs a month."""
    jobs = read_jobs(month.case.scenario, month.case.periods[0].name)
    for run in month.jobs:
        if run.job in jobs:
            check_cents("cost", f"job {run.job}", run.usd_month, job_usd(month.case, jobs[run.job], run), findings)


def check_cost(said: Mapping[str, Fraction], usd: Mapping[str, Fraction], findings: Findings) -> None:
    """Every kind and the total, which is rounded from the exact sum."""
    total = sum(usd.values(), Fraction(0))
    for kind, value in (*usd.items(), ("total", total)):
        if kind in said:
            check_cents("cost", kind, said[kind], value, findings)


def check_objective(plan: PlanFiles, total: Fraction, findings: Findings) -> None:
    """The objective is the cost, and says so."""
    if plan.objective_usd_month is not None:
        check_cents("objective", "objective_usd_month", plan.objective_usd_month, total, findings)
        same = plan.cost.get("total") in (None, plan.objective_usd_month)
        findings.check("objective", same, "objective_usd_month", "is not the total of the cost")


def check_cents(rule: str, subject: str, said: Fraction, value: Fraction, findings: Findings) -> None:
    """Whether `said` is whole cents and `value` rounded to them."""
    whole = (said * 100).denominator == 1
    findings.check(rule, whole, subject, f"{float(said)} USD is no whole number of cents")
    near = abs(said - value) <= Fraction(1, 200) + TIE_USD + TIE * abs(value)
    detail = f"the plan says {float(said):.2f} USD, recomputed {cents(value) / 100:.2f}"
    findings.check(rule, near or not whole, subject, detail, abs(said - value))
