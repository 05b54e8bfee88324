"""A month of one period of the plan in whole numbers: what stands, what flows where, what is left."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from placement.frames import records
from placement.plan.exact import Int, Whole, exact, scaled
from placement.plan.prices import Prices
from placement.plan.shares import BILLION, name_ranks, parts_per_billion
from placement.problem.names import DemandRow, JobOption, Names, ShapeName
from placement.scenario import Scenario
from solvers.problem import Problem
from solvers.solution import Placement, added

Float = NDArray[np.float64]


@dataclass(frozen=True)
class Standing:
    """Servers of one kind and owner at a site: `count` in all, `new` of them bought or rented, `rented` of those."""

    site: str
    server: str
    count: int
    new: int
    rented: int = 0
    tenant: str = ""

    @property
    def bought(self) -> int:
        return self.new - self.rented


@dataclass(frozen=True)
class Flow:
    """Shares of demand rows on shapes at sites, parts per billion: U each, in the numbering of the period's names."""

    demand: Int
    site: Int
    shape: Int
    ppb: Int


@dataclass(frozen=True)
class Left:
    """What is left unserved of a demand row, and what the whole row unserved would cost a month."""

    demand: int
    share_ppb: int
    penalty_usd: Fraction


@dataclass(frozen=True)
class Month:
    """One period's plan. `requests_per_s` and `mean_requests_per_s` are those of the demand rows, I."""

    period: str
    months: Fraction
    sites: tuple[str, ...]
    slices: tuple[str, ...]
    shapes: tuple[ShapeName, ...]
    demands: tuple[DemandRow, ...]
    requests_per_s: tuple[Fraction, ...]
    mean_requests_per_s: tuple[Fraction, ...]
    standing: tuple[Standing, ...]
    flow: Flow
    left: tuple[Left, ...]
    jobs: tuple[JobOption, ...] = ()
    added: int = 0  # replicas beyond those of the plan before (14)

    @cached_property
    def services(self) -> tuple[str, ...]:
        return tuple(sorted({row.service for row in self.demands}))

    @cached_property
    def regions(self) -> tuple[str, ...]:
        return tuple(sorted({row.region for row in self.demands}))

    @cached_property
    def demand_service(self) -> Int:
        """Place in `services`, I."""
        return places([row.service for row in self.demands], self.services)

    @cached_property
    def demand_region(self) -> Int:
        """Place in `regions`, I."""
        return places([row.region for row in self.demands], self.regions)

    @cached_property
    def demand_slice(self) -> Int:
        """Place in `slices`, I."""
        return places([row.slice for row in self.demands], self.slices)

    def rates(self, *, mean: bool) -> tuple[Whole, int]:
        """What flows on each entry of the flow, requests/s as whole numbers (U) over a denominator."""
        whole, denominator = scaled(self.mean_requests_per_s if mean else self.requests_per_s)
        return self.flow.ppb.astype(object) * whole[self.flow.demand], denominator * BILLION

    def requests(self, prices: Prices) -> tuple[Whole, int]:
        """Mean requests a month of every demand row, as whole numbers (I) over a denominator."""
        hours = [prices.hours[name] for name in self.slices]
        by_slice, hour = scaled(hours)
        mean, second = scaled(self.mean_requests_per_s)
        return mean * by_slice[self.demand_slice] * 3600, hour * second


def read_month(
    scenario: Scenario,
    prices: Prices,
    problem: Problem,
    names: Names,
    placement: Placement,
    months: Fraction,
    rank: Int | None = None,
) -> tuple[Month, Int]:
    """The plan of one period, and the shares of all its pairs in parts per billion, N."""
    share_ppb, left_ppb = parts_per_billion(problem, placement, name_ranks(problem, names) if rank is None else rank)
    asked = _asked(scenario, names)
    used = np.flatnonzero(share_ppb)
    block = problem.pair_block[used]
    month = Month(
        period=names.period,
        months=months,
        sites=names.sites,
        slices=names.slices,
        shapes=names.shapes,
        demands=names.demands,
        requests_per_s=tuple(design for design, _ in asked),
        mean_requests_per_s=tuple(mean for _, mean in asked),
        standing=_standing(names, placement),
        flow=Flow(problem.pair_demand[used], problem.block_site[block], problem.block_shape[block], share_ppb[used]),
        left=(),
        jobs=tuple(sorted((names.job_options[a] for a in placement.jobs.tolist()), key=lambda option: option.job)),
        added=int(added(problem, placement.replicas).sum()),
    )
    return _with_left(month, prices, problem.unserved_usd, left_ppb), share_ppb


def _with_left(month: Month, prices: Prices, unserved_usd: Float, left_ppb: Int) -> Month:
    """The month with what is left unserved, its penalty exact where the service states one."""
    requests, denominator = month.requests(prices)
    left = []
    for i in np.flatnonzero(left_ppb).tolist():
        stated = prices.services[month.demands[i].service]["unserved_usd_per_1000"]
        by_rule = Fraction(float(unserved_usd[i])) if np.isnan(stated) else None
        penalty = exact(stated) * Fraction(requests[i], denominator) / 1000 if by_rule is None else by_rule
        left.append(Left(i, int(left_ppb[i]), penalty))
    return replace(month, left=tuple(left))


def _standing(names: Names, placement: Placement) -> tuple[Standing, ...]:
    """Servers by (site, server, tenant), however they are held."""
    counts: dict[tuple[str, str, str], Counter[str]] = {}
    for offer, count in zip(names.offers, placement.servers.tolist(), strict=True):
        if count:
            counts.setdefault((offer.site, offer.server, offer.tenant), Counter())[offer.way] += count
    return tuple(
        Standing(site, server, ways.total(), ways["buy"] + ways["rent"], ways["rent"], tenant)
        for (site, server, tenant), ways in sorted(counts.items())
    )


def _asked(scenario: Scenario, names: Names) -> list[tuple[Fraction, Fraction]]:
    """Design and mean rate of the period's demand rows, in the order of `names.demands`."""
    table = scenario.table("demand")
    rows = {
        (row["region"], row["model"], row["service"], row["slice"]): row
        for row in records(table[table["period"] == names.period])
    }
    found = (rows[row.region, row.model, row.service, row.slice] for row in names.demands)
    return [(exact(row["requests_per_s"]), exact(row["mean_requests_per_s"])) for row in found]


def places(values: Sequence[str], names: Sequence[str]) -> Int:
    """Where each of `values` is in `names`."""
    number = {name: place for place, name in enumerate(names)}
    return np.array([number[value] for value in values], np.int64)
