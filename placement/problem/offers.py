"""Ways to hold servers: those of the fleet, and new ones, as far as each site alone allows."""

from dataclasses import dataclass, fields

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from placement.frames import floats, integers, records, texts
from placement.problem.money import server_month_usd, standing_usd
from placement.problem.routes import Rates
from placement.scenario import Scenario

Float = NDArray[np.float64]
Int = NDArray[np.int64]
Bool = NDArray[np.bool_]

RACK_UNITS = 42.0  # of a full rack: kW per rack and free rack units give the kW that the racks can cool
ROUNDING = 1 + 1e-12  # 3 x 0.1 kW fit into 0.3 kW


@dataclass(frozen=True)
class Offers:
    """Ways to hold servers, O each, sorted by (site, server, new); sites and servers by their place in the tables."""

    site: Int
    server: Int
    new: Bool
    most: Int  # servers
    usd: Float  # a month for each server held

    def where(self, mask: Bool) -> "Offers":
        """The offers of a mask."""
        return Offers(*(getattr(self, field.name)[mask] for field in fields(self)))


def site_limit(sites: pd.DataFrame) -> Float:
    """kW (as the racks can cool them) and rack units, P × 2; infinite where the site states none."""
    rack_units = np.nan_to_num(floats(sites, "rack_units"), nan=np.inf)
    cooled = floats(sites, "max_kw_per_rack") * floats(sites, "rack_units") / RACK_UNITS
    power = np.fmin(np.nan_to_num(floats(sites, "power_kw"), nan=np.inf), np.nan_to_num(cooled, nan=np.inf))
    return np.column_stack([power, rack_units])


def server_use(servers: pd.DataFrame) -> Float:
    """kW and rack units of each server, K × 2."""
    return np.column_stack([floats(servers, "power_kw"), floats(servers, "rack_units")])


def all_offers(scenario: Scenario, gpus: tuple[str, ...], rates: Rates) -> Offers:
    """Every way to hold a server of one of the `gpus`, at every site that can hold at least one."""
    sites, servers = scenario.table("sites"), scenario.table("servers")
    use, limit = server_use(servers), site_limit(sites)
    with np.errstate(divide="ignore", invalid="ignore"):
        room = np.floor(limit[:, None, :] / use[None, :, :] * ROUNDING)
    most = np.where(use[None, :, :] > 0, room, np.inf).min(axis=2)
    per_rack = np.nan_to_num(floats(sites, "max_kw_per_rack"), nan=np.inf)
    fits = (use[None, :, 0] <= per_rack[:, None]) & np.isin(texts(servers, "gpu"), gpus)[None, :]
    most = np.where(fits, most, 0.0)
    standing = standing_usd(sites, servers, rates.price, rates.hours)
    fleet = np.minimum(most, _fleet(scenario))
    kept, bought = np.nonzero(fleet > 0), np.nonzero(most > 0)
    site, server = np.concatenate([kept[0], bought[0]]), np.concatenate([kept[1], bought[1]])
    new = np.arange(len(site)) >= len(kept[0])
    usd = standing[site, server] + np.where(new, server_month_usd(scenario, servers)[server], 0.0)
    count = np.minimum(np.where(new, most[site, server], fleet[site, server]), np.iinfo(np.int32).max)
    order = np.lexsort((new, server, site))
    return Offers(site[order], server[order], new[order], count[order].astype(np.int64), usd[order])


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
        mine = offers.where(of_kind[offers.server])
        held = np.bincount(mine.site, mine.most * size[mine.server].astype(np.float64), len(sites))
        cooled = np.floor(leanest[:, of_kind, :].max(axis=1).min(axis=1) * ROUNDING)
        total[:, j] = np.minimum(held, cooled)
        np.maximum.at(largest[:, j], mine.site, size[mine.server])
    return np.minimum(total, np.iinfo(np.int32).max).astype(np.int64), largest


def _fleet(scenario: Scenario) -> Float:
    """Servers that stand today, P × K."""
    site = {name: p for p, name in enumerate(texts(scenario.table("sites"), "site"))}
    server = {name: k for k, name in enumerate(texts(scenario.table("servers"), "server"))}
    count = np.zeros((len(site), len(server)))
    for row in records(scenario.table("fleet")):
        count[site[row["site"]], server[row["server"]]] += float(row["count"])
    return count
