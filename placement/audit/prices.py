"""What things cost a month, exactly: the auditor's own reading of the cost in section 6 of the design contract.

A month is 730 hours. Capital recovery factor r/(1-(1+r)^-n) with the monthly rate r = wacc/12. A figure of carbon that
the tables lack is None where it is asked for, and adds nothing to a price: `check` refuses a scenario that needs it.
"""

from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

from placement.audit.exact import Counted, counted, settled
from placement.audit.facts import MONTH_HOURS, Facts, Key, Server, Way

SECONDS = 3600
KBYTE_PER_GB = 10**6
GRAMS_PER_TONNE = 10**6
KG_PER_TONNE = 1000
FREE_SHARE = {"peak": Fraction(0), "p95": Fraction(1, 20)}
"""Share of the day that the busiest slices may last and not be counted, by how transit is billed."""


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
    """USD a month of everything that a plan of one period holds or does."""

    facts: Facts

    def capital_usd(self, server: Server, way: Way) -> Fraction:
        """A server without its support: capex and installation by the recovery factor, or rent; the fleet is paid.

        Raises:
            ValueError: the tables give no price for this way.
        """
        if way == "fleet":
            return Fraction(0)
        usd = server.capex_usd if way == "buy" else server.rent_usd_month
        if usd is None:
            raise ValueError(f"the tables do not offer to {way} this server")
        if way == "rent":
            return usd
        return settled((usd + server.install_usd) * recovery_factor(self.facts.wacc, server.months))

    def support_usd(self, server: Server, way: Way) -> Fraction:
        """Support of a server that is bought or rented."""
        return Fraction(0) if way == "fleet" else server.support_usd_month

    def power_space_usd(self, site: str, server: Server) -> Fraction:
        """The kW that a standing server books."""
        return server.power_kw * self.facts.sites[site].usd_per_kw_month

    def idle_energy_usd(self, site: str, server: Server) -> Fraction:
        """Energy of a standing server that does nothing."""
        return server.idle_kw * self.facts.sites[site].pue * self._idle_usd_per_kw[site]

    def idle_tco2e(self, site: str, server: Server) -> Fraction | None:
        """Carbon of that energy; None where the site's is not known."""
        per_kw = self._idle_tco2e_per_kw[site]
        return None if per_kw is None else server.idle_kw * self.facts.sites[site].pue * per_kw

    def embodied_tco2e(self, server: Server, way: Way) -> Fraction | None:
        """A month's part of making a new server; None where it is not known."""
        if way == "fleet":
            return Fraction(0)
        return None if server.embodied_kgco2e is None else server.embodied_kgco2e / server.months / KG_PER_TONNE

    def held_usd(self, site: str, server: Server, way: Way) -> Fraction:
        """All that one more server costs there when it is held so."""
        carbon = (self.idle_tco2e(site, server) or Fraction(0)) + (self.embodied_tco2e(server, way) or Fraction(0))
        standing = self.power_space_usd(site, server) + self.idle_energy_usd(site, server)
        paid = self.capital_usd(server, way) + self.support_usd(server, way)
        return paid + standing + settled(self.carbon_usd(carbon))

    def carbon_usd(self, tco2e: Fraction) -> Fraction:
        """(16) what so much carbon costs; nothing where it has no price."""
        return tco2e * (self.facts.usd_per_tco2e or 0)

    @cached_property
    def _idle_usd_per_kw(self) -> dict[str, Fraction]:
        """A kW drawn in every slice of the month, by site."""
        facts = self.facts
        return {
            site: sum((hours * facts.usd_per_kwh[(site, name)] for name, hours in facts.hours.items()), Fraction(0))
            for site in facts.sites
        }

    @cached_property
    def _idle_tco2e_per_kw(self) -> dict[str, Fraction | None]:
        """Its carbon; None where that of any slice is not known."""
        found: dict[str, Fraction | None] = {}
        for site in self.facts.sites:
            grams = [(hours, self.facts.gco2_per_kwh[(site, name)]) for name, hours in self.facts.hours.items()]
            whole = all(gram is not None for _, gram in grams)
            total = sum((hours * (gram or 0) for hours, gram in grams), Fraction(0))
            found[site] = total / GRAMS_PER_TONNE if whole else None
        return found

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

    @cached_property
    def requests(self) -> Counted[Key]:
        """Mean requests of every class in its slice over a month."""
        return counted({key: self.requests_month(key) for key in self.facts.demand})

    @cached_property
    def all_requests(self) -> Fraction:
        """Mean requests of a month that are asked for."""
        return self.requests.value(sum(self.requests.units.values()))

    def load_kwh(self, key: Key, site: str, shape_name: str) -> Fraction:
        """Energy above idle of serving the whole class there, as the meter of the site counts it."""
        facts = self.facts
        shape = facts.shapes[shape_name]
        busy = facts.demand[key].mean_requests_per_s / shape.requests_per_s[facts.services[key[2]].profile]
        kw = busy * shape.gpus * self.busy_kw.get(shape.gpu, Fraction(0))
        return kw * facts.sites[site].pue * facts.hours[key[3]]

    def load_energy_usd(self, key: Key, site: str, shape_name: str) -> Fraction:
        """What that energy costs."""
        return self.load_kwh(key, site, shape_name) * self.facts.usd_per_kwh[(site, key[3])]

    def load_tco2e(self, key: Key, site: str, shape_name: str) -> Fraction | None:
        """Its carbon; None where the site's is not known."""
        grams = self.facts.gco2_per_kwh[(site, key[3])]
        return None if grams is None else self.load_kwh(key, site, shape_name) * grams / GRAMS_PER_TONNE

    def out_mbps(self, key: Key) -> Fraction:
        """Mbit/s of answers at the design rate."""
        return 8 * self.facts.demand[key].requests_per_s * self.facts.services[key[2]].kbyte_out / 1000

    def slice_share(self, name: str) -> Fraction:
        """How long a slice lasts, as a share of the day."""
        return self.facts.hours[name] / MONTH_HOURS

    def egress_usd(self, key: Key, site_name: str) -> Fraction:
        """Answers sent: by the GB on mean rates, or by the mean Mbit/s of the day; nothing where a peak is billed."""
        site = self.facts.sites[site_name]
        if site.transit_usd_per_mbps_month is None:
            gigabytes = self.requests_month(key) * self.facts.services[key[2]].kbyte_out / KBYTE_PER_GB
            return gigabytes * site.egress_usd_per_gb
        if site.transit_billing in FREE_SHARE:
            return Fraction(0)
        return self.slice_share(key[3]) * self.out_mbps(key) * site.transit_usd_per_mbps_month

    def peak_usd(self, key: Key, site_name: str) -> Fraction:
        """What the class alone would add to a peak that is billed; nothing where none is."""
        site = self.facts.sites[site_name]
        if site.transit_usd_per_mbps_month is None or site.transit_billing not in FREE_SHARE:
            return Fraction(0)
        return self.out_mbps(key) * site.transit_usd_per_mbps_month

    def counted_share(self, site_name: str) -> dict[str, Fraction]:
        """By slice: weights of a mean that no billed peak is below; none where no peak is billed.

        A slice that lasts longer than the free share of the day is never left out, so the counted peak is at least
        its flow, and at least any mean of such flows; here they weigh by how long they last.
        """
        site = self.facts.sites[site_name]
        if site.transit_usd_per_mbps_month is None or site.transit_billing not in FREE_SHARE:
            return {}
        free = FREE_SHARE[site.transit_billing]
        lasting = {name: share for name in self.facts.hours if (share := self.slice_share(name)) > free}
        total = sum(lasting.values(), Fraction(0))
        return {name: share / total for name, share in lasting.items()}

    def waiting_usd(self, key: Key, latency_ms: Fraction) -> Fraction:
        """Priced milliseconds of the planned latency."""
        return self.facts.latency_usd_per_million_request_ms * self.requests_month(key) / 10**6 * latency_ms

    def late_usd(self, key: Key, late: Fraction) -> Fraction:
        """Requests of which a share of `late` is expected to miss the latency budget."""
        return self.facts.late_usd_per_1000 * self.requests_month(key) / 1000 * late

    def route_usd(self, key: Key, site: str, shape: str, latency_ms: Fraction, late: Fraction) -> Fraction:
        """All that serving the whole class there costs beside the servers and a billed peak."""
        carbon = self.carbon_usd(self.load_tco2e(key, site, shape) or Fraction(0))
        energy = self.load_energy_usd(key, site, shape)
        time = self.waiting_usd(key, latency_ms) + self.late_usd(key, late)
        return energy + carbon + self.egress_usd(key, site) + time
