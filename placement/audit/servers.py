"""Servers as the certificate prices them: how many quarter GPUs a site could hold, what holding them costs."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property

from placement.audit.case import Case
from placement.audit.facts import Server, Way
from placement.audit.hosting import stands
from placement.audit.limits import LimitRow
from placement.audit.site_value import Offer


@dataclass(frozen=True)
class Servers:
    """Offers of servers at the prices of limits (10–12) and of the budget."""

    case: Case
    limit_usd: tuple[tuple[float, LimitRow], ...]  # limits that have a price, with it
    dearer: float  # 1 + ν

    def room(self, site: str, gpu: str) -> int:
        """Quarter GPUs that a site where any server of the GPU stands could hold at most."""
        return self._room[(site, gpu)]

    @cached_property
    def _room(self) -> dict[tuple[str, str], int]:
        """Each limit by the server that is leanest in it: a mixture of servers may use both limits up."""
        found: dict[tuple[str, str], int] = {}
        servers = self.case.facts.servers.values()
        for site_name, gpu in self.case.hosting.largest:
            site = self.case.facts.sites[site_name]
            kinds = [s for s in servers if s.gpu == gpu and stands(s, site)]
            by_power = max(_floor_ratio(site.usable_kw, s.power_kw / s.gpus) for s in kinds)
            by_units = max(_floor_ratio(site.rack_units, s.rack_units / s.gpus) for s in kinds)
            found[(site_name, gpu)] = 4 * min(by_power, by_units)
        return found

    @cached_property
    def gpus(self) -> dict[str, tuple[str, ...]]:
        """GPUs of which some server may stand, by site."""
        found: dict[str, list[str]] = {}
        for site, gpu in sorted(self.case.hosting.largest):
            found.setdefault(site, []).append(gpu)
        return {site: tuple(gpus) for site, gpus in found.items()}

    def offers(self, site: str, gpu: str, quarters: int, asked: Mapping[str, int] | None = None) -> list[Offer]:
        """Fleet and new servers of a GPU at a site, as many of each as could be of use for `quarters`.

        With `asked` also as many of each kind as it says, and one at least.
        """
        return [
            replace(
                offer, most=min(offer.most, max(_ceil_ratio(quarters, offer.quarters), _asked(asked, offer.server)))
            )
            for offer in self._offers(site, gpu)
        ]

    def _offers(self, site_name: str, gpu: str) -> Iterator[Offer]:
        case, site = self.case, self.case.facts.sites[site_name]
        for name, server in sorted(case.facts.servers.items()):
            if server.gpu != gpu or not stands(server, site):
                continue
            room = min(_floor_ratio(site.usable_kw, server.power_kw), _floor_ratio(site.rack_units, server.rack_units))
            standing = min(room, case.facts.fleet.get((site_name, name), 0))
            ways: tuple[tuple[Sequence[Way], int], ...] = ((("fleet",), standing), (server.new_ways, room))
            for held, most in ways:
                if held and most:
                    usd = min(self._server_usd(site_name, name, server, way) for way in held)
                    yield Offer(4 * int(server.gpus), float(server.power_kw), float(server.rack_units), usd, most, name)

    def _server_usd(self, site: str, name: str, server: Server, way: Way) -> float:
        usd = self.dearer * float(self.case.prices.held_usd(site, server, way))
        return usd + math.fsum(mu * float(row.weight(site, name, way)) for mu, row in self._limits_on(site, name))

    def _limits_on(self, site: str, server: str) -> tuple[tuple[float, LimitRow], ...]:
        """The priced limits that a server at the site may enter; those of the fleet are one for each (site, server)."""
        own = self._fleet_limits.get(f"fleet|{site}|{server}")
        return self._shared_limits if own is None else (*self._shared_limits, own)

    @cached_property
    def _shared_limits(self) -> tuple[tuple[float, LimitRow], ...]:
        return tuple((mu, row) for mu, row in self.limit_usd if not row.name.startswith("fleet|"))

    @cached_property
    def _fleet_limits(self) -> dict[str, tuple[float, LimitRow]]:
        return {row.name: (mu, row) for mu, row in self.limit_usd if row.name.startswith("fleet|")}


def _floor_ratio(limit: Fraction, use: Fraction) -> int:
    return math.floor(limit / use)


def _ceil_ratio(need: int, one: int) -> int:
    return -(-need // one)


def _asked(asked: Mapping[str, int] | None, server: str) -> int:
    return 0 if asked is None else max(1, asked.get(server, 0))
