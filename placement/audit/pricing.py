"""The bound of one period at given prices.

The demand rows, wires, limits and the monthly budget are priced instead of kept (Lagrange; Geoffrion 1974). For prices
π (demand), α, β (wires), μ (limits), ν (budget) every plan costs at least

    Σ_i min(π_i, U_i) − Σ_p V_p − Σ_l μ_l·rhs_l − ν·budget

with U_i the penalty of row i and V_p ≥ what site p can earn (`sites`): rows pay π_i less (1+ν)·their cost and the
priced wires; servers and the open site cost (1+ν) times their price, servers the priced limits too; an open site is
credited the priced wires it brings. Rows that no site can serve count with their penalty exactly (C0). Rounding cuts
(`cuts`), what must be served when a domain has failed (`rows`, `backups`, `covers`) and groups of sites that are
bounded by branching (`groups`), and jobs (`job_values`) change this as `docs/certificate.md` says.

A dedicated tenant's classes fill servers of their own: each (GPU, tenant) is packed and bought by itself, and kept
within the fleet that it shares with others by a priced limit. Where replicas follow the slices, what G quarter GPUs
earn is Σ_t W_t(G), packed slice by slice on the same servers. A server that is new is bought or rented, whichever is
cheaper at the prices. A billed peak of transit is replaced by a mean over the slices that are surely counted
(`prices.counted_share`), which it is never below.

Relaxed, each because it only forbids plans or adds to their cost: power and rack units shared between GPUs and owners;
the rows of (6) for sizes 2, 4, 8; that shares of survivors stay when a domain fails, and its wires; which slices jobs
choose, and jobs without a price; moves; pins; spread; least served share; the limit of carbon; goals.
"""

import math
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property

import numpy as np

from placement.audit.arrays import CertificateError, Float
from placement.audit.backups import Backups
from placement.audit.blocks import BlockReader
from placement.audit.case import Case
from placement.audit.certificate import Prices
from placement.audit.cuts import Block, CutBook, open_book
from placement.audit.groups import SiteGroup, open_blocks, open_group
from placement.audit.job_values import JobValues
from placement.audit.limits import LimitRow, limit_rows, monthly_budget_usd
from placement.audit.penalties import Penalties
from placement.audit.quotes import Quotes
from placement.audit.rows import Rows
from placement.audit.servers import Servers
from placement.audit.site_value import EPS
from placement.audit.sites import SiteValue


@dataclass(frozen=True)
class ProvedWith:
    """What a certificate says of one period, counted, and what branching adds."""

    period: str
    cuts: int
    backups: int
    covers: int
    groups: int
    leaves: int
    group_cuts: int
    groups_usd: float = 0.0  # what the bound would lose if the sites of groups were priced one by one

    def __bool__(self) -> bool:
        return bool(self.cuts or self.backups or self.covers or self.groups)

    def __str__(self) -> str:
        told = f"{self.period}: " if self.period else ""
        return told + (
            f"the bound is proved with {self.cuts} cuts, {self.backups} failure rows, {self.covers} covers, and"
            f" {self.groups} groups of {self.leaves} leaves and {self.group_cuts} cuts, which add"
            f" {self.groups_usd:,.2f} USD a month"
        )


@dataclass(frozen=True)
class Proved:
    """The bound of a period, rounded outward, and what it was proved with."""

    usd: float
    proved_with: ProvedWith


@dataclass(frozen=True)
class Pricing:
    """One set of prices against one period."""

    penalties: Penalties
    prices: Prices
    rows: Rows = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "rows", Rows(self.penalties, self.prices))

    @property
    def case(self) -> Case:
        return self.penalties.grid.case

    @cached_property
    def limits(self) -> tuple[LimitRow, ...]:
        return limit_rows(self.case)

    def refuse_strangers(self) -> None:
        """Raise CertificateError where names are not those of the tables."""
        facts, grid = self.case.facts, self.penalties.grid
        named = set(self.prices.keys)
        if named != set(grid.keys):
            strangers, missing = sorted(named - set(grid.keys)), sorted(set(grid.keys) - named)
            raise CertificateError(f"demand rows: unknown {strangers[:3]}, missing {missing[:3]}")
        if set(self.prices.sites) != set(facts.sites) or set(self.prices.slices) != set(facts.hours):
            raise CertificateError("sites or slices are not those of the scenario")
        unknown = sorted(set(self.prices.limit_usd) - {row.name for row in self.limits})
        if unknown:
            raise CertificateError(f"limits that the tables do not state: {unknown[:3]}")
        strange = sorted(set(self.prices.job_usd) - set(self.jobs.known))
        if strange:
            raise CertificateError(f"jobs that the period does not have: {strange[:3]}")
        if self.prices.job_usd and facts.replicas_follow_slices:
            raise CertificateError("jobs have no price where replicas follow the slices")

    def proved(self) -> Proved:
        """The bound, rounded outward.

        Raises:
            CertificateError: a cut, a backup or a group that proves nothing.
            OverflowError, ValueError: the prices are too large to compute with.
        """
        backups = Backups(self.rows)
        root = Quotes(self.rows.usd, (self.cuts,))
        groups = [
            open_group(self.case, g, self.prices.sites, self.prices.slices, self.rows.of_listed, self.blocks)
            for g in self.prices.groups
        ]
        alone, together = self._values(backups, root, groups)
        backups.refuse_uncertain()
        losses = [mu * float(row.most) for mu, row in self.priced_limits] + alone
        losses += [most for most, _ in together]
        if self.budget_usd is not None:
            losses.append(self.prices.budget * float(self.budget_usd))
        jobs_usd = np.array(list(self.prices.job_usd.values()), np.float64)
        gains = np.concatenate([self.rows.gain_usd, self.cuts.gain_usd(), self.rows.covers.gain_usd(), jobs_usd])
        terms = [*gains.tolist(), *(-usd for usd in losses)]
        if not all(math.isfinite(term) for term in terms):
            raise OverflowError("a term of the bound is beyond floats")
        slack = 64 * EPS * math.fsum(abs(term) for term in terms)
        usd = rounded_down(self.penalties.constant_usd + Fraction(math.fsum(terms)) - Fraction(slack))
        return Proved(usd, self._proved_with(math.fsum(apart - most for most, apart in together)))

    def _values(
        self, backups: Backups, root: Quotes, groups: list[SiteGroup]
    ) -> tuple[list[float], list[tuple[float, float]]]:
        """V_p of the sites that are in no group; of every group the least of W and Σ V_p, and the latter."""
        reader = BlockReader(self.case, self.rows, backups, self.dearer)
        value = SiteValue(self.case, self.servers, self.jobs)
        grouped = {site for group in groups for site in group.sites}
        alone, together = [], []
        for site in self.penalties.grid.sites:
            if site not in grouped:
                uplink, downlink, credit = self.wire_usd(site)
                alone.append(float(value.usd(site, reader.at(site, uplink, downlink), credit, root)[0]))
        for group in groups:
            parts = [(part, part.quotes(root)) for part in group.parts()]
            values, apart = [], []
            for site in group.sites:
                uplink, downlink, credit = self.wire_usd(site)
                blocks = list(reader.at(site, uplink, downlink))
                apart.append(float(value.usd(site, blocks, credit, root)[0]))
                told = [value.usd(site, blocks, credit, quotes, part.paths.at(site)) for part, quotes in parts]
                sizes = [len(part.usd) for part, _ in parts]
                values.append(np.concatenate([np.broadcast_to(usd, n) for usd, n in zip(told, sizes, strict=True)]))
            most = group.usd_most(root, values)
            together.append((min(most, math.fsum(apart)), math.fsum(apart)))
        return alone, together

    def _proved_with(self, groups_usd: float) -> ProvedWith:
        groups = self.prices.groups
        return ProvedWith(
            period=self.case.period.name,
            cuts=self.prices.cuts.count,
            backups=len(self.prices.backups.usd),
            covers=self.prices.covers.count,
            groups=len(groups),
            leaves=sum(group.leaves for group in groups),
            group_cuts=sum(group.cuts.count for group in groups),
            groups_usd=groups_usd,
        )

    @cached_property
    def blocks(self) -> list[Block]:
        """The blocks that the certificate speaks of."""
        return open_blocks(self.case, self.prices.blocks, self.prices.sites, self.prices.slices)

    @cached_property
    def cuts(self) -> CutBook:
        return open_book(self.prices.cuts, self.rows.of_listed, self.blocks)

    @cached_property
    def servers(self) -> Servers:
        return Servers(self.case, self.priced_limits, self.dearer)

    @cached_property
    def jobs(self) -> JobValues:
        return JobValues(self.case, self.prices.job_usd, self.dearer)

    @cached_property
    def budget_usd(self) -> Fraction | None:
        """(12) as the tables state it."""
        return monthly_budget_usd(self.case)

    @cached_property
    def dearer(self) -> float:
        """1 + ν; a budget that is not stated has no price."""
        return 1 + self.prices.budget if self.budget_usd is not None else 1.0

    @cached_property
    def priced_limits(self) -> tuple[tuple[float, LimitRow], ...]:
        """Every limit that has a price, with its multiplier."""
        listed = ((self.prices.limit_usd.get(row.name, 0.0), row) for row in self.limits)
        return tuple((mu, row) for mu, row in listed if mu)

    def wire_usd(self, site_name: str) -> tuple[Float, Float, float]:
        """Price of the site's uplink and downlink in every slice, T each, and the credit that opening it brings."""
        site, names = self.case.facts.sites[site_name], list(self.case.facts.hours)
        found, credit = [], 0.0
        for priced, limit in (
            (self.prices.uplink_usd, site.uplink_mbps),
            (self.prices.downlink_usd, site.downlink_mbps),
        ):
            if limit is None:
                found.append(np.zeros(len(names)))
                continue
            usd = np.array([priced[(site_name, name)] for name in names], np.float64)
            found.append(usd)
            credit += float(usd.sum()) * float(limit)
        return found[0], found[1], credit


def rounded_down(value: Fraction) -> float:
    """The largest float ≤ value."""
    nearest = float(value)
    return nearest if Fraction(nearest) <= value else math.nextafter(nearest, -math.inf)
