"""What things cost a month, exactly: the auditor's own reading of the cost in section 6 of the design contract.

A month is 730 hours. Capital recovery factor r/(1-(1+r)^-n) with the monthly rate r = wacc/12.
"""

from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

from placement.audit.exact import settled
from placement.audit.facts import Facts, Key, Server

SECONDS = 3600
KBYTE_PER_GB = 10**6


def recovery_factor(wacc: Fraction, months: Fraction) -> Fraction:
    """Share of an investment due each month for `months`."""
    rate = wacc / 12
    if rate == 0:
        return 1 / months
    if months.denominator != 1:
        raise ValueError(f"a server is written off over a whole number of months, not {months}")
    return rate / (1 - (1 + rate) ** -int(months))


@dataclass(frozen=True)
class Prices:
    """USD a month of everything that a plan holds or does."""

    facts: Facts

    def bought_usd(self, server: Server) -> Fraction:
        """A new server: rent if it has one, else capex and installation by the recovery factor; without support."""
        if server.rent_usd_month is not None:
            return server.rent_usd_month
        paid = server.capex_usd + server.install_usd
        return settled(paid * recovery_factor(self.facts.wacc, server.months))

    def capex_usd(self, server: Server) -> Fraction:
        """What a new server takes of the capex budget: nothing if it is rented."""
        return Fraction(0) if server.rent_usd_month is not None else server.capex_usd

    def power_space_usd(self, site: str, server: Server) -> Fraction:
        """The kW that a standing server books."""
        return server.power_kw * self.facts.sites[site].usd_per_kw_month

    def idle_energy_usd(self, site: str, server: Server) -> Fraction:
        """Energy of a standing server that does nothing."""
        return server.idle_kw * self.facts.sites[site].pue * self._idle_usd_per_kw[site]

    def standing_usd(self, site: str, server: Server) -> Fraction:
        """What any standing server costs, fleet or new."""
        return self.power_space_usd(site, server) + self.idle_energy_usd(site, server)

    def new_usd(self, site: str, server: Server) -> Fraction:
        """All that one more server costs."""
        return self.bought_usd(server) + server.support_usd_month + self.standing_usd(site, server)

    @cached_property
    def _idle_usd_per_kw(self) -> dict[str, Fraction]:
        """A kW drawn in every slice of the month, by site."""
        facts = self.facts
        return {
            site: sum((hours * facts.usd_per_kwh[(site, name)] for name, hours in facts.hours.items()), Fraction(0))
            for site in facts.sites
        }

    @cached_property
    def busy_kw(self) -> dict[str, Fraction]:
        """kW that a busy GPU draws above idle, by GPU: the most over its servers."""
        most: dict[str, Fraction] = {}
        for server in self.facts.servers.values():
            kw = (server.power_kw - server.idle_kw) / server.gpus
            most[server.gpu] = max(most.get(server.gpu, kw), kw)
        return most

    def requests_month(self, key: Key) -> Fraction:
        """Mean requests of a class in its slice over a month."""
        return self.facts.demand[key].mean_requests_per_s * SECONDS * self.facts.hours[key[3]]

    def load_energy_usd(self, key: Key, site: str, shape_name: str) -> Fraction:
        """Energy above idle of serving the whole class there."""
        facts = self.facts
        shape = facts.shapes[shape_name]
        busy = facts.demand[key].mean_requests_per_s / shape.requests_per_s[facts.services[key[2]].profile]
        kw = busy * shape.gpus * self.busy_kw.get(shape.gpu, Fraction(0))
        return kw * facts.sites[site].pue * facts.usd_per_kwh[(site, key[3])] * facts.hours[key[3]]

    def egress_usd(self, key: Key, site_name: str) -> Fraction:
        """Answers sent: GB on mean rates, or Mbit/s of the design rate where the site pays transit."""
        site, demand = self.facts.sites[site_name], self.facts.demand[key]
        kbyte_out = self.facts.services[key[2]].kbyte_out
        if site.transit_usd_per_mbps_month is not None:
            return 8 * demand.requests_per_s * kbyte_out / 1000 * site.transit_usd_per_mbps_month
        return self.requests_month(key) * kbyte_out / KBYTE_PER_GB * site.egress_usd_per_gb

    def waiting_usd(self, key: Key, latency_ms: Fraction) -> Fraction:
        """Priced milliseconds of the planned latency."""
        return self.facts.latency_usd_per_million_request_ms * self.requests_month(key) / 10**6 * latency_ms

    def route_usd(self, key: Key, site: str, shape: str, latency_ms: Fraction) -> Fraction:
        """All that serving the whole class there costs beside the servers."""
        return self.load_energy_usd(key, site, shape) + self.egress_usd(key, site) + self.waiting_usd(key, latency_ms)
