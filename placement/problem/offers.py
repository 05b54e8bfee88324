"""Ways to hold servers: those of the fleet, and new ones, as far as each site alone allows."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from placement.problem.money import server_month_usd, standing_usd
from placement.problem.routes import Rates
from placement.scenario import Scenario

Float = NDArray[np.float64]

RACK_UNITS = 42.0  # of a full rack: kW per rack and free rack units give the kW that the racks can cool


def site_limit(sites: pd.DataFrame) -> Float:
    """kW (as the racks can cool them) and rack units, P × 2."""
    rack_units = sites["rack_units"].fillna(np.inf).to_numpy(np.float64)
    cooled = (sites["max_kw_per_rack"] * sites["rack_units"] / RACK_UNITS).fillna(np.inf).to_numpy(np.float64)
    return np.column_stack([np.minimum(sites["power_kw"].fillna(np.inf).to_numpy(np.float64), cooled), rack_units])


def all_offers(scenario: Scenario, gpus: tuple[str, ...], rates: Rates) -> pd.DataFrame:
    """Every way to hold servers: those of the fleet, and new ones as far as the site alone allows; sorted."""
    sites, servers = scenario.table("sites"), scenario.table("servers")
    standing = standing_usd(sites, servers, rates.price, rates.hours)
    usable = servers["gpu"].isin(gpus).to_numpy(np.bool_)
    site, server = np.nonzero(np.ones((len(sites), len(servers)), np.bool_) & usable)
    per_rack = sites["max_kw_per_rack"].fillna(np.inf).to_numpy(np.float64)
    use = servers[["power_kw", "rack_units"]].to_numpy(np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        room = np.floor(site_limit(sites)[site] / use[server] * (1 + 1e-12)).min(axis=1)
    room = np.where(use[server, 0] <= per_rack[site], room, 0)
    fleet = scenario.table("fleet").groupby(["site", "server"])["count"].sum()
    stands = [
        fleet.get((s, k), 0) for s, k in zip(sites["site"].iloc[site], servers["server"].iloc[server], strict=True)
    ]
    base = pd.DataFrame(
        {
            "site": sites["site"].to_numpy()[site],
            "country": sites["country"].to_numpy()[site],
            "delivery_group": sites["delivery_group"].to_numpy()[site],
            "server": servers["server"].to_numpy()[server],
            "gpu": servers["gpu"].to_numpy()[server],
            "gpus": servers["gpus"].to_numpy()[server],
            "capex_usd": np.where(servers["rent_usd_month"].isna(), servers["capex_usd"], 0.0)[server],
            "site_number": site,
            "server_number": server,
            "room": room,
        }
    )
    new_usd = standing[site, server] + server_month_usd(scenario, servers)[server]
    kept = base.assign(new=False, max=np.minimum(room, stands), usd=standing[site, server])
    bought = base.assign(new=True, max=room, usd=new_usd)
    both = pd.concat([kept[kept["max"] > 0], bought[bought["max"] > 0]])
    return both.sort_values(["site_number", "server_number", "new"]).reset_index(drop=True)


def gpu_room(scenario: Scenario, offers: pd.DataFrame) -> dict[tuple[int, str], float]:
    """An upper bound on the GPUs of a kind that a site can hold, by kW and rack units per GPU of the leanest server."""
    limit = site_limit(scenario.table("sites"))
    use = scenario.table("servers")[["power_kw", "rack_units"]].to_numpy(np.float64)
    room = {}
    for (site, gpu), rows in offers.groupby(["site_number", "gpu"]):
        per_gpu = (use[rows["server_number"]] / rows["gpus"].to_numpy(np.float64)[:, None]).min(axis=0)
        with np.errstate(divide="ignore"):
            by_limit = np.floor((limit[site] / per_gpu).min() * (1 + 1e-12))
        room[(int(site), str(gpu))] = min(float(by_limit), float((rows["max"] * rows["gpus"]).sum()))
    return room


def largest_server(offers: pd.DataFrame) -> dict[tuple[int, str], int]:
    """GPUs of the largest server that can stand at a site, by GPU; a replica never spans servers."""
    return {
        (int(site), str(gpu)): int(most)
        for (site, gpu), most in offers.groupby(["site_number", "gpu"])["gpus"].max().items()
    }
