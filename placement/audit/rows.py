"""The rows that a certificate prices, by one numbering: I demand rows as the grid numbers them, then J failure rows.

A failure row (e, i) says that what row i serves is served outside of domain e when e has failed (13):
Σ_{n of i, not in e} t_n + u_i = 1, for rows that cannot be lost; `docs/certificate.md` (B). R = I + J.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from placement.audit.arrays import CertificateError, Float, Int
from placement.audit.certificate import Prices
from placement.audit.covers import CoverBook, open_covers
from placement.audit.failures import failing_domains
from placement.audit.penalties import Penalties
from placement.audit.site_value import EPS

PLANNED = "planned"


@dataclass(frozen=True)
class Rows:
    """What the certificate says of the rows of one period."""

    penalties: Penalties
    prices: Prices

    @cached_property
    def demand(self) -> Int:
        """The demand row that every row is or is about, R; listed as the certificate lists them: `self.of_listed`."""
        return np.concatenate([np.arange(self.count), self.of_listed[self.prices.backups.row]])

    @property
    def count(self) -> int:
        """I."""
        return len(self.penalties.grid.keys)

    @cached_property
    def of_listed(self) -> Int:
        """The row that the certificate means by each of its positions, R."""
        number = {key: i for i, key in enumerate(self.penalties.grid.keys)}
        own = [number[key] for key in self.prices.keys]
        return np.concatenate([np.array(own, np.int64), self.count + np.arange(len(self.prices.backups.usd))])

    @cached_property
    def domains(self) -> Mapping[str, frozenset[str]]:
        """The domains that may fail, where backups are free to choose; under other policies none."""
        scenario = self.penalties.grid.case.scenario
        return failing_domains(scenario) if scenario.document.reliability.failover == PLANNED else {}

    def domains_of(self, site: str) -> Int:
        """The numbers of the domains that may fail and hold the site."""
        return np.array(self._domains_of.get(site, ()), np.int64)

    @cached_property
    def _domains_of(self) -> dict[str, list[int]]:
        found: dict[str, list[int]] = {}
        for e, sites in enumerate(self.domains.values()):
            for site in sites:
                found.setdefault(site, []).append(e)
        return found

    @cached_property
    def covers(self) -> CoverBook:
        """The covers of the certificate.

        Raises:
            CertificateError: where no domain may fail, backups are not free to choose, or replicas follow the slices; a
                row that nobody can serve.
        """
        found = open_covers(self.prices.covers, self.of_listed[: self.count])
        if self.prices.covers.count and (not self.domains or self.penalties.grid.case.facts.replicas_follow_slices):
            raise CertificateError("covers: no domain may fail, or replicas and backups are not planned together")
        if not self.penalties.servable[found.covered].all():
            raise CertificateError("covers: a cover takes a row that nobody can serve")
        return found

    @cached_property
    def most_usd(self) -> Float:
        """What a row and its failures may pay together, I: its penalty less what covers give for leaving it."""
        if not self.prices.covers.count:
            return self.penalties.least_usd
        spared = self.covers.spared_usd()
        return np.asarray(self.penalties.least_usd - spared - 2 * EPS * (self.penalties.least_usd + spared), np.float64)

    @cached_property
    def failed(self) -> tuple[frozenset[str], ...]:
        """The sites that are down in every failure row, J.

        Raises:
            CertificateError: a domain that may not fail, or whose backups are not free to choose.
        """
        unknown = sorted(set(self.prices.backups.domain) - set(self.domains))
        if unknown:
            raise CertificateError(
                f"backups: no domain of the kinds that may fail is {unknown[:3]}, or not planned for"
            )
        return tuple(self.domains[name] for name in self.prices.backups.domain)

    @cached_property
    def domain(self) -> Int:
        """The number of every failure row's domain, J."""
        number = {name: e for e, name in enumerate(self.domains)}
        return np.array([number[name] for name in self.prices.backups.domain], np.int64)

    @cached_property
    def usd(self) -> Float:
        """What the rows pay, R + 1; 0 at the end, where no row is.

        With the failure rows' prices a demand row pays no more than `most_usd`, since more would prove less; what is
        about a row that no site can serve pays nothing, as all of it is left unserved.
        """
        failing = np.where(self.penalties.servable[self.demand[self.count :]], self.prices.backups.usd, 0.0)
        most = self.most_usd - self._of_failures(failing)
        return np.concatenate([np.minimum(self._listed_usd, most), failing, [0.0]])

    @cached_property
    def gain_usd(self) -> Float:
        """Σ over the rows about a demand row, at most `most_usd`: what L gains of each servable one; rounded down."""
        failing = self.usd[self.count : -1]
        paid = self.usd[: self.count] + self._of_failures(failing)
        size = np.abs(self.usd[: self.count]) + self._of_failures(np.abs(failing))
        rounding = np.where(self._priced > 0, 4 * (self._priced + 2) * EPS * (size + self.penalties.least_usd), 0.0)
        return np.asarray((np.minimum(paid, self.most_usd) - rounding)[self.penalties.servable], np.float64)

    @cached_property
    def _listed_usd(self) -> Float:
        found = np.empty(self.count)
        found[self.of_listed[: self.count]] = self.prices.demand_usd
        return found

    def _of_failures(self, usd: Float) -> Float:
        """Sums of a figure of the failure rows by their demand row, I."""
        return np.asarray(np.bincount(self.demand[self.count :], usd, self.count), np.float64)

    @cached_property
    def _priced(self) -> Float:
        """Failure rows about each demand row, I."""
        return self._of_failures(np.ones(len(self.prices.backups.usd)))

    @cached_property
    def of_demand(self) -> tuple[Int, Int]:
        """The failure rows about demand row i: `rows[first[i]:first[i + 1]]`."""
        order = np.argsort(self.demand[self.count :], kind="stable")
        first = np.concatenate([[0], np.cumsum(self._priced)]).astype(np.int64)
        return first, self.count + order

    @cached_property
    def slice(self) -> Int:
        """The number of every demand row's slice, I."""
        number = {name: t for t, name in enumerate(self.penalties.grid.case.facts.hours)}
        return np.array([number[key[3]] for key in self.penalties.grid.keys], np.int64)
