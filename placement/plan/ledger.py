"""A month's cost by kind and by site, summed exactly: integers over common denominators, fractions at the end.

Formulas are those of `docs/mathematics.md`; what divides by a replica's capacity is settled to 10^-30 once a group.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TypeVar

import numpy as np

from placement.plan.budget_met import late_requests
from placement.plan.document import Cost
from placement.plan.exact import FINEST, cents, exact, exact_or_zero, finest, grouped, scaled, total
from placement.plan.latency import Ways, served_requests, waiting_ms
from placement.plan.month import Month, Standing
from placement.plan.prices import MONTH_HOURS, Prices
from placement.plan.shares import BILLION
from placement.problem.names import JobOption

FREE_OF_P95 = Fraction(5, 100)
OPERATING = ("support", "power_space", "idle_energy", "load_energy", "open_sites", "egress", "jobs")

BySite = dict[str, Fraction]
Key = TypeVar("Key")


@dataclass(frozen=True)
class Bill:
    """USD a month by kind; `site_usd` is what each site costs without capital: the kinds of OPERATING, and rent."""

    usd: Mapping[str, Fraction]
    site_usd: Mapping[str, Fraction]

    @property
    def total(self) -> Fraction:
        return total(self.usd.values())


def bill(ways: Ways, month: Month, carbon_usd: Fraction = Fraction()) -> Bill:
    """What the month costs; `carbon_usd` is the priced carbon of it (16)."""
    prices = ways.prices
    by_site = {
        "servers": _by_site(month.standing, lambda s: _server_usd(prices, s)),
        "support": _by_site(
            month.standing, lambda s: s.new * exact_or_zero(prices.servers[s.server]["support_usd_month"])
        ),
        "power_space": _by_site(month.standing, lambda s: _place_usd(prices, s)),
        "idle_energy": idle_energy(prices, month, prices.kwh_usd),
        "load_energy": load_energy(prices, month, prices.usd_per_kwh),
        "open_sites": {
            site: exact_or_zero(prices.sites[site]["open_usd_month"])
            for site in sorted({s.site for s in month.standing if s.count})
        },
        "egress": egress_usd(prices, month),
        "jobs": _by_site(month.jobs, lambda option: job_usd(prices, option, month.months)),
    }
    usd = {kind: total(amounts.values()) for kind, amounts in by_site.items()}
    usd["latency"] = Fraction()
    if prices.usd_per_million_request_ms:
        usd["latency"] = prices.usd_per_million_request_ms * waiting_ms(ways, month) / 10**6
    usd["late"] = Fraction()
    if prices.usd_per_1000_late:
        usd["late"] = prices.usd_per_1000_late * late_requests(ways, month) / 1000
    usd["moves"] = prices.usd_per_move * month.added / month.months
    usd["carbon"] = carbon_usd
    usd["unserved"] = total(Fraction(left.share_ppb, BILLION) * left.penalty_usd for left in month.left)
    rent = _by_site(month.standing, lambda s: s.rented * prices.rent_usd(s.server) if s.rented else Fraction())
    return Bill(usd, _summed([rent, *(by_site[kind] for kind in OPERATING)]))


def mean_cost(bills: Sequence[tuple[Fraction, Bill]]) -> Cost:
    """Mean over periods by their months; the total is rounded from the exact sum, not from the rounded kinds."""
    lasting = total(months for months, _ in bills)
    usd = {kind: total(months * bill.usd[kind] for months, bill in bills) / lasting for kind in bills[0][1].usd}
    return Cost(**{kind: cents(value) for kind, value in usd.items()}, total=cents(total(usd.values())))


def idle_energy(prices: Prices, month: Month, per_kw: Callable[[str], Fraction]) -> BySite:
    """Energy of what stands and does nothing, in what `per_kw` gives for a kW drawn all month at a site."""
    kw = _by_site(month.standing, lambda s: s.count * exact(prices.servers[s.server]["idle_kw"]))
    return {site: drawn * exact(prices.sites[site]["pue"]) * per_kw(site) for site, drawn in kw.items()}


def load_energy(prices: Prices, month: Month, per_kwh: Mapping[tuple[str, str], Fraction]) -> BySite:
    """Energy above idle of what is served: x · mean/q · g · κ · PUE · H_t at what a kWh of (site, slice) gives."""
    flow, (mean, denominator) = month.flow, month.rates(mean=True)
    service, time = month.demand_service[flow.demand], month.demand_slice[flow.demand]
    (site, shape, served, at), sums = grouped((flow.site, flow.shape, service, time), mean)
    count = len(month.slices)
    place, number = np.unique(site * count + at, return_inverse=True)
    figure, second = scaled(_kw_month(prices, month, key // count, key % count, per_kwh) for key in place.tolist())
    (site, shape, served), sums = grouped((site, shape, served), sums * figure[number])
    replica: dict[tuple[int, int], Fraction] = {}
    found: dict[int, int] = {}
    for p, d, s, amount in zip(site.tolist(), shape.tolist(), served.tolist(), sums, strict=True):
        if (d, s) not in replica:
            row, profile = prices.shapes[month.shapes[d].shape], prices.services[month.services[s]]["profile"]
            kw = exact(row["gpus_per_replica"]) * prices.busy_kw.get(row["gpu"], Fraction())
            replica[d, s] = kw / prices.rate[row["shape"], profile] / (denominator * second)
        each = replica[d, s]
        found[p] = found.get(p, 0) + finest(amount * each.numerator, each.denominator)
    return {month.sites[p]: Fraction(amount, FINEST) for p, amount in found.items()}


def _kw_month(
    prices: Prices, month: Month, site: int, time: int, per_kwh: Mapping[tuple[str, str], Fraction]
) -> Fraction:
    """What an IT kW drawn at a site all through a slice comes to in a month."""
    name, slice_name = month.sites[site], month.slices[time]
    return exact(prices.sites[name]["pue"]) * prices.hours[slice_name] * per_kwh[name, slice_name]


def egress_usd(prices: Prices, month: Month) -> BySite:
    """Answers sent: by the GB on mean rates, or by the counted Mbit/s where the site pays transit."""
    flow = month.flow
    service = month.demand_service[flow.demand]
    kbyte = [exact(prices.services[name]["kbyte_out"]) for name in month.services]
    requests, denominator = served_requests(prices, month)
    found: BySite = {}
    (site, served), sums = grouped((flow.site, service), requests)
    for p, s, amount in zip(site.tolist(), served.tolist(), sums, strict=True):
        row = prices.sites[month.sites[p]]
        if exact_transit(row) is None:
            usd = amount * kbyte[s] / denominator / 10**6 * exact(row["egress_usd_per_gb"])
            found[month.sites[p]] = found.get(month.sites[p], Fraction()) + usd
    for name, flows in _flows_mbps(prices, month, kbyte).items():
        row = prices.sites[name]
        found[name] = exact(row["transit_usd_per_mbps_month"]) * counted_mbps(
            row["transit_billing"], flows, {slice_: prices.hours[slice_] / MONTH_HOURS for slice_ in month.slices}
        )
    return found


def counted_mbps(billing: str, flows: Mapping[str, Fraction], day_share: Mapping[str, Fraction]) -> Fraction:
    """What transit bills of a site's flow by slice: its peak, that without the busiest 5 % of the day, or its mean.

    The busiest slices are left out of the 95/5 first, as long as they together last at most 5 % of the day; a slice
    without flow counts 0.
    """
    if billing == "mean":
        return total(share * flows.get(name, Fraction()) for name, share in day_share.items())
    free, lasting = (FREE_OF_P95 if billing == "p95" else Fraction()), Fraction()
    for name in sorted(day_share, key=lambda name: -flows.get(name, Fraction())):
        lasting += day_share[name]
        if lasting > free:
            return flows.get(name, Fraction())
    return Fraction()


def exact_transit(site: Mapping[str, float]) -> Fraction | None:
    """USD per Mbit/s, None where the site pays by the GB."""
    price = site["transit_usd_per_mbps_month"]
    return exact(price) if price == price else None  # noqa: PLR0124  NaN


def job_kwh(prices: Prices, option: JobOption, per_kwh: Mapping[tuple[str, str], Fraction]) -> Fraction:
    """All of a job's energy at the mean of what a kWh gives over its slices, by how long they last."""
    row = prices.jobs[option.job]
    slices = option.slices or prices.slices
    hours = total(prices.hours[name] for name in slices)
    mean = total(prices.hours[name] * per_kwh[option.site, name] for name in slices) / hours
    kw = int(row["gpus"]) * prices.busy_kw.get(row["gpu"], Fraction()) * exact(prices.sites[option.site]["pue"])
    return kw * exact(row["hours"]) * mean


def job_usd(prices: Prices, option: JobOption, months: Fraction) -> Fraction:
    """A month of a job: its energy and, where its data moves, their way out of where they lie (15)."""
    row = prices.jobs[option.job]
    usd = job_kwh(prices, option, prices.usd_per_kwh)
    if row["data_site"] and row["data_site"] != option.site:
        usd += exact_or_zero(row["data_gb"]) * exact(prices.sites[row["data_site"]]["egress_usd_per_gb"])
    return usd / months


def revenue_usd(prices: Prices, month: Month) -> BySite | None:
    """What served mean requests earn a month by site; None where no service states it."""
    price = [exact_or_zero(prices.services[name]["revenue_usd_per_1000"]) for name in month.services]
    stated = [row["revenue_usd_per_1000"] for row in prices.services.values()]
    if all(value != value for value in stated):  # noqa: PLR0124  NaN
        return None
    requests, denominator = served_requests(prices, month)
    flow = month.flow
    (site, service), sums = grouped((flow.site, month.demand_service[flow.demand]), requests)
    found: BySite = {}
    for p, s, amount in zip(site.tolist(), service.tolist(), sums, strict=True):
        name = month.sites[p]
        found[name] = found.get(name, Fraction()) + Fraction(amount, denominator) * price[s] / 1000
    return found


def asked_and_left(prices: Prices, month: Month) -> tuple[Fraction, Fraction]:
    """Mean requests a month that are asked for, and that are left unserved."""
    requests, denominator = month.requests(prices)
    left = sum(entry.share_ppb * requests[entry.demand] for entry in month.left)
    return Fraction(sum(requests.tolist()), denominator), Fraction(left, denominator * BILLION)


def served_share(asked_left: Iterable[tuple[Fraction, tuple[Fraction, Fraction]]]) -> Fraction:
    """Share of mean requests that is served over periods (months, (asked, left)); 1 where none is asked for."""
    pairs = list(asked_left)
    asked = total(months * both[0] for months, both in pairs)
    left = total(months * both[1] for months, both in pairs)
    return 1 - left / asked if asked else Fraction(1)


def _server_usd(prices: Prices, s: Standing) -> Fraction:
    rent = s.rented * prices.rent_usd(s.server) if s.rented else Fraction()
    return rent + (s.bought * prices.bought_usd(s.server) if s.bought else Fraction())


def _place_usd(prices: Prices, s: Standing) -> Fraction:
    per_kw = exact_or_zero(prices.sites[s.site]["usd_per_kw_month"])
    return s.count * exact(prices.servers[s.server]["power_kw"]) * per_kw


def _flows_mbps(prices: Prices, month: Month, kbyte: Sequence[Fraction]) -> dict[str, dict[str, Fraction]]:
    """Mbit/s out of every site that pays transit, by slice, at design rates."""
    design, denominator = month.rates(mean=False)
    flow = month.flow
    keys = (flow.site, month.demand_slice[flow.demand], month.demand_service[flow.demand])
    (site, time, service), sums = grouped(keys, design)
    found: dict[str, dict[str, Fraction]] = {}
    for p, t, s, amount in zip(site.tolist(), time.tolist(), service.tolist(), sums, strict=True):
        name, slice_name = month.sites[p], month.slices[t]
        if exact_transit(prices.sites[name]) is not None:
            flows = found.setdefault(name, {})
            mbps = amount * kbyte[s] * 8 / 1000 / denominator
            flows[slice_name] = flows.get(slice_name, Fraction()) + mbps
    return found


def _by_site(things: Iterable[Key], usd: Callable[[Key], Fraction]) -> BySite:
    """Sums of what each thing costs by its `site`."""
    found: BySite = {}
    for thing in things:
        site: str = thing.site  # type: ignore[attr-defined]
        found[site] = found.get(site, Fraction()) + usd(thing)
    return found


def _summed(parts: Iterable[BySite]) -> BySite:
    found: BySite = {}
    for part in parts:
        for site, usd in part.items():
            found[site] = found.get(site, Fraction()) + usd
    return found
