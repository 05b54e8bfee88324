"""Ways to hold servers: those of the fleet, bought and rented ones, as far as each site alone allows."""

from dataclasses import dataclass, fields, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from placement.frames import floats, integers, records, texts
from placement.problem.carbon import Carbon
from placement.problem.money import Rates, capital_usd, standing_usd
from placement.problem.names import Way
from placement.scenario import Scenario

Float = NDArray[np.float64]
Int = NDArray[np.int64]
Bool = NDArray[np.bool_]

RACK_UNITS = 42.0  # of a full rack: kW per rack and free rack units give the kW that the racks can cool
ROUNDING = 1 + 1e-12  # 3 x 0.1 kW fit into 0.3 kW
WAYS: tuple[Way, ...] = ("fleet", "buy", "rent")
FLEET, BUY, RENT = range(3)


@dataclass(frozen=True)
class Offers:
    """Ways to hold servers, O each, sorted by (site, owner, server, way); sites and servers by place in the tables."""

    site: Int
    owner: Int
    server: Int
    way: Int  # place in WAYS
    most: Int  # servers
    usd: Float  # a month for each server held
    tonnes: Float  # tCO2e a month for each server held; NaN where nobody asks

    @property
    def new(self) -> Bool:
        return np.asarray(self.way != FLEET, np.bool_)

    def where(self, mask: Bool) -> "Offers":
        """The offers of a mask."""
        return Offers(*(getattr(self, field.name)[mask] for field in fields(self)))

    def at_most(self, most: Int) -> "Offers":
        """The offers with no more servers than `most` of each; those with none left are gone."""
        most = np.minimum(self.most, most)
        return replace(self, most=most).where(most > 0)


def site_limit(sites: pd.DataFrame) -> Float:
    """kW (as the racks can cool them) and rack units, P × 2; infinite where the site states none."""
    rack_units = np.nan_to_num(floats(sites, "rack_units"), nan=np.inf)
    cooled = floats(sites, "max_kw_per_rack") * floats(sites, "rack_units") / RACK_UNITS
    power = np.fmin(np.nan_to_num(floats(sites, "power_kw"), nan=np.inf), np.nan_to_num(cooled, nan=np.inf))
    return np.column_stack([power, rack_units])


def server_use(servers: pd.DataFrame) -> Float:
    """kW and rack units of each server, K × 2."""
    return np.column_stack([floats(servers, "power_kw"), floats(servers, "rack_units")])


def may_stand(scenario: Scenario) -> Bool:
    """Whether a server is of a kind that the site's kind takes (stands_at), P × K."""
    kind = np.array(texts(scenario.table("sites"), "kind"))
    stands = np.array(texts(scenario.table("servers"), "stands_at"))
    return np.asarray((stands[None, :] == "any") | (stands[None, :] == kind[:, None]), np.bool_)


def room_for(scenario: Scenario) -> Float:
    """How many servers of a kind a site alone could hold, P × K; 0 where none may stand."""
    sites, servers = scenario.table("sites"), scenario.table("servers")
    use, limit = server_use(servers), site_limit(sites)
    with np.errstate(divide="ignore", invalid="ignore"):
        room = np.floor(limit[:, None, :] / use[None, :, :] * ROUNDING)
    most = np.where(use[None, :, :] > 0, room, np.inf).min(axis=2)
    per_rack = np.nan_to_num(floats(sites, "max_kw_per_rack"), nan=np.inf)
    return np.where((use[None, :, 0] <= per_rack[:, None]) & may_stand(scenario), most, 0.0)


def all_offers(scenario: Scenario, gpus: tuple[str, ...], owners: int, rates: Rates, carbon: Carbon | None) -> Offers:
    """Every way to hold a server of one of the `gpus`, once for every owner, at every site that can hold at least one.

    The price holds place and idle energy, priced carbon, and for what is new its capital or rent and its support.
    """
    sites, servers = scenario.table("sites"), scenario.table("servers")
    most = np.where(np.isin(texts(servers, "gpu"), gpus)[None, :], room_for(scenario), 0.0)
    standing = standing_usd(sites, servers, rates.price, rates.hours)
    idle_tonnes = np.full(standing.shape, np.nan)
    if carbon is not None:
        idle_tonnes = carbon.standing(floats(sites, "pue"), floats(servers, "idle_kw"), rates.hours)
    bought, rented = capital_usd(scenario, servers)
    parts = []
    for way, (price, count) in enumerate(
        (
            (np.zeros(len(servers)), np.minimum(most, fleet_servers(scenario))),
            (bought, np.where(np.isnan(bought), 0.0, most)),
            (rented, np.where(np.isnan(rented), 0.0, most)),
        )
    ):
        site, server = np.nonzero(count > 0)
        embodied = carbon.embodied_tonnes[server] if carbon is not None and way != FLEET else 0.0
        tonnes = idle_tonnes[site, server] + embodied
        usd = standing[site, server] + price[server]
        if carbon is not None and carbon.usd_per_tonne > 0:
            usd = usd + carbon.usd_per_tonne * tonnes
        held = np.minimum(count[site, server], np.iinfo(np.int32).max).astype(np.int64)
        parts.append((site, server, np.full(len(site), way), held, usd, tonnes))
    site, server, ways, held, usd, tonnes = (np.concatenate(column) for column in zip(*parts, strict=True))
    owner = np.repeat(np.arange(owners), len(site))
    each = np.tile(np.arange(len(site)), owners)
    order = np.lexsort((ways[each], server[each], owner, site[each]))
    each = each[order]
    return Offers(site[each], owner[order], server[each], ways[each], held[each], usd[each], tonnes[each])


def gpu_room(scenario: Scenario, offers: Offers, gpus: tuple[str, ...]) -> tuple[Int, Int]:
    """What each site could hold of each GPU, P × GPUs each: (GPUs in all, GPUs of the largest server).

    The first is an upper bound, by kW and rack units per GPU of the leanest server there.
    """
    sites, servers = scenario.table("sites"), scenario.table("servers")
    size, kind = integers(servers, "gpus"), texts(servers, "gpu")
    with np.errstate(divide="ignore"):
        per_gpu = server_use(servers) / size[:, None]
        by_limit = site_limit(sites)[:, None, :] / per_gpu[None, :, :]
    leanest = np.where(per_gpu[None, :, :] > 0, by_limit, np.inf)
    total = np.zeros((len(sites), len(gpus)))
    largest = np.zeros((len(sites), len(gpus)), np.int64)
    for j, gpu in enumerate(gpus):
        of_kind = np.array([k == gpu for k in kind])
        mine = offers.where(of_kind[offers.server] & (offers.owner == 0))
        held = np.bincount(mine.site, mine.most * size[mine.server].astype(np.float64), len(sites))
        cooled = np.floor(leanest[:, of_kind, :].max(axis=1).min(axis=1) * ROUNDING)
        total[:, j] = np.minimum(held, cooled)
        np.maximum.at(largest[:, j], mine.site, size[mine.server])
    return np.minimum(total, np.iinfo(np.int32).max).astype(np.int64), largest


def fleet_servers(scenario: Scenario) -> Float:
    """Servers that stand today, P × K."""
    site = {name: p for p, name in enumerate(texts(scenario.table("sites"), "site"))}
    server = {name: k for k, name in enumerate(texts(scenario.table("servers"), "server"))}
    count = np.zeros((len(site), len(server)))
    for row in records(scenario.table("fleet")):
        count[site[row["site"]], server[row["server"]]] += float(row["count"])
    return count
