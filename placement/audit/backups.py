"""(B) Which failure rows hold, and who may serve what is left when a domain has failed; by the tables alone.

Row i cannot be lost with domain e where some site outside of e may back it up, or no site inside may serve it. Site by
site this is gathered while the sites are priced; a failure row that is not certain in the end is refused, and a row of
a cover (D) that any domain may lose.
"""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from placement.audit.arrays import CertificateError, Float, Int
from placement.audit.grid import BACKUP, SiteRoutes
from placement.audit.pools import Bool
from placement.audit.rows import Rows


@dataclass(frozen=True)
class Backups:
    """The failure rows of a certificate against the sites of one period."""

    rows: Rows
    _certain: list[Bool] = field(default_factory=list)  # a site outside may back it up, a site inside may serve it; J

    def __post_init__(self) -> None:
        self._certain.extend(np.zeros((2, len(self.rows.failed)), np.bool_))

    @cached_property
    def _covered(self) -> "_Covered":
        """What has been seen of the rows in covers."""
        return _Covered(self.rows.covers.covered, len(self.rows.domains))

    @property
    def none(self) -> bool:
        """Whether nothing is said of failures."""
        return not len(self.rows.failed) and not self.rows.prices.covers.count

    def at(self, site: str, primary: SiteRoutes) -> SiteRoutes:
        """Routes of the site within the budget for backups, on shapes that it could hold; `primary` are as those."""
        grid = self.rows.penalties.grid
        return primary if grid.one_budget else grid.hosted(grid.at(site, BACKUP), site)

    def outside(self, site: str) -> Bool:
        """The failure rows whose domain the site is not in, J."""
        out = np.ones(len(self.rows.domains), np.bool_)
        out[self.rows.domains_of(site)] = False
        return out[self.rows.domain]

    def see(self, site: str, serves: Int, backs_up: Int) -> None:
        """A site may serve the demand rows `serves` and back up `backs_up`, on shapes that it could hold."""
        about, out = self.rows.demand[self.rows.count :], self.outside(site)
        may = np.zeros((2, self.rows.count), np.bool_)
        may[0, backs_up], may[1, serves] = True, True
        self._covered.see(self.rows.domains_of(site), may[1], may[0])
        self._certain[0] |= may[0][about] & out
        self._certain[1] |= may[1][about] & ~out

    def refuse_uncertain(self) -> None:
        """After all sites: raise CertificateError where a failure row, or a row of a cover, may be lost."""
        if self._covered.some_may_be_lost():
            raise CertificateError("covers: a cover takes a row that may be lost when a domain fails")
        lost = np.flatnonzero(~self._certain[0] & self._certain[1])
        if len(lost):
            about = self.rows.penalties.grid.keys[self.rows.demand[self.rows.count + lost[0]]]
            name = self.rows.prices.backups.domain[lost[0]]
            raise CertificateError(f"backups: {len(lost)} rows may be lost, as {about} when {name!r} fails")

    def of(self, rows: Int, outside: Bool) -> tuple[Int, Int]:
        """The failure rows about demand `rows` that a site with the mask `outside` may serve, and about which."""
        first, listed = self.rows.of_demand
        counts = first[rows + 1] - first[rows]
        pair = np.repeat(np.arange(len(rows)), counts)
        within = np.arange(len(pair)) - np.repeat(np.cumsum(counts) - counts, counts)
        found = listed[first[rows][pair] + within]
        some = outside[found - self.rows.count] & self.rows.penalties.servable[self.rows.demand[found]]
        return found[some], pair[some]


class _Covered:
    """Whether some domain may lose one of some rows: it holds a site that may serve it, and all that may back it up."""

    def __init__(self, rows: Int, domains: int) -> None:
        self.rows, self.domains = rows, domains
        self.backed: Float = np.zeros(len(rows))  # sites that may back a row up
        self.serves: list[Int] = []  # row and domain, as one number, of every site that may serve
        self.backs: list[Int] = []

    def see(self, inside: Int, serves: Bool, backs_up: Bool) -> None:
        """A site in the domains `inside` may serve and back up the demand rows of which that holds, I each."""
        if not len(self.rows):
            return
        serving, backing = np.flatnonzero(serves[self.rows]), np.flatnonzero(backs_up[self.rows])
        self.backed[backing] += 1
        for e in inside.tolist():
            self.serves.append(serving * self.domains + e)
            self.backs.append(backing * self.domains + e)

    def some_may_be_lost(self) -> bool:
        """After all sites."""
        if not self.serves:
            return False
        backed, inside = np.unique(np.concatenate(self.backs), return_counts=True)
        alone = backed[inside == self.backed[backed // self.domains]]  # all that may back it up are inside
        served = np.unique(np.concatenate(self.serves))
        none = self.backed[served // self.domains] == 0
        return bool(none.any() or np.isin(alone, served).any())
