"""Placement problems of any size without data: cities on a sphere, sites and regions among them, a ladder of shapes.

Figures are of the right order (a GPU about USD 600 a month, light in fibre, 20–150 ms budgets), not of a real place.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from solvers.problem import Problem

Float = NDArray[np.float64]
Int = NDArray[np.int64]

EARTH_KM = 6371.0
FIBRE_KM_PER_MS = 200.0
SERVER_GPUS = np.array([2, 4, 8])
SERVER_KW = np.array([1.9, 3.4, 6.2])
SERVER_UNITS = np.array([2.0, 4.0, 5.0])
SERVER_USD = np.array([1400.0, 2550.0, 4700.0])
LADDER = np.array([1, 2, 4, 8, 16, 32])
POINT_SPEED = np.array([1.0, 0.65, 0.3])
POINT_TTFT_MS = np.array([1.0, 0.55, 0.25])


@dataclass(frozen=True)
class _World:
    site_xyz: Float
    region_xyz: Float
    users: Float
    rtt_ms: Float  # regions × sites
    rng: np.random.Generator


def synthetic(
    sites: int,
    regions: int,
    models: int,
    seed: int = 0,
    *,
    sizes: int = 3,
    points: int = 3,
    slices: int = 1,
    gpus_per_site: float = 13.0,
    services: int = 1,
    site_gpus: int = 48,
    fleet: float = 0.2,
    stock: float = np.inf,
    uplink_mbps_per_gpu: float = np.inf,
) -> Problem:
    """A random problem: `regions` × `models` × `services` classes in every slice.

    `sizes` GPU counts of a replica a model and `points` operating points of each (a choice); `gpus_per_site` sets the
    whole demand, in GPUs per site; `site_gpus` the mean room of a site; `fleet` the share of sites that hold a server
    already; `stock` the servers of each kind to be had, as a multiple of a third of the demand. Same seed, same bytes.
    """
    rng = np.random.default_rng(seed)
    world = _world(sites, regions, rng)
    shapes = _shapes(models, min(sizes, 4), min(points, 3), rng)
    demand = _demand(world, models, services, slices, rng)
    blocks = sites * len(shapes["model"])
    pairs = _pairs(world, shapes, demand, sites)
    total = gpus_per_site * sites
    fluid = pairs["load"] * shapes["quarters"][pairs["block"] % len(shapes["model"])] / 4
    least = np.full(len(demand["region"]), np.inf)
    np.minimum.at(least, pairs["demand"], fluid)
    scale = total / max(float(least[np.isfinite(least)].sum()) / max(slices, 1), 1e-9)
    gpu_room = rng.choice([0.25, 0.6, 1.0, 2.0], sites, p=[0.25, 0.3, 0.3, 0.15]) * site_gpus
    power = np.maximum(gpu_room, 2) * 0.85
    offers = _offers(sites, power, fleet, rng)
    place = rng.uniform(0.85, 1.4, sites)
    load = pairs["load"] * scale
    reach = world.rtt_ms[demand["region"][pairs["demand"]], pairs["block"] // len(shapes["model"])]
    usd = (
        load
        * shapes["quarters"][pairs["block"] % len(shapes["model"])]
        / 4
        * (60 * place[pairs["block"] // len(shapes["model"])] + 1.2 * reach)
    )
    dear = np.zeros(len(demand["region"]))
    np.maximum.at(dear, pairs["demand"], usd + fluid * scale * 900)
    rate = demand["rate"] * scale
    limits = sp.csr_matrix((0, len(offers["site"])))
    rhs = np.zeros(0)
    if np.isfinite(stock):
        new = ~offers["standing"]
        limits = sp.csr_matrix(
            (np.ones(int(new.sum())), (offers["server"][new], np.flatnonzero(new))), shape=(3, len(offers["site"]))
        )
        rhs = np.floor(stock * total / 3 / SERVER_GPUS)
    count = len(shapes["model"])
    return Problem(
        open_usd=rng.choice([250.0, 1500.0], sites, p=[0.4, 0.6]) * rng.uniform(0.8, 1.2, sites),
        uplink_mbps=gpu_room * uplink_mbps_per_gpu,
        downlink_mbps=np.full(sites, np.inf),
        site_limit=np.stack([power, np.maximum(gpu_room, 2) + 2], axis=1),
        server_gpu=np.zeros(3, np.int64),
        server_gpus=SERVER_GPUS.astype(np.int64),
        server_use=np.stack([SERVER_KW, SERVER_UNITS], axis=1),
        offer_site=offers["site"],
        offer_server=offers["server"],
        offer_max=offers["most"],
        offer_usd=np.where(offers["standing"], 0.25, 1.0) * SERVER_USD[offers["server"]] * place[offers["site"]],
        shape_gpu=np.zeros(count, np.int64),
        shape_quarters=shapes["quarters"],
        shape_model=shapes["model"],
        block_site=np.repeat(np.arange(sites), count),
        block_shape=np.tile(np.arange(count), sites),
        block_max=np.floor(np.maximum(gpu_room, 2)[np.repeat(np.arange(sites), count)] * 4 * 3
                           / np.tile(shapes["quarters"], sites)).astype(np.int64),
        block_choice=(np.arange(blocks) // max(points, 1)).astype(np.int64),
        demand_model=demand["model"],
        demand_slice=demand["slice"],
        unserved_usd=np.where(dear > 0, 3 * dear, 50.0),
        out_mbps=rate * 0.02,
        in_mbps=rate * 0.004,
        pair_demand=pairs["demand"],
        pair_block=pairs["block"],
        pair_load=load,
        pair_usd=usd,
        limit_matrix=limits,
        limit_rhs=rhs,
    )  # fmt: skip


def _world(sites: int, regions: int, rng: np.random.Generator) -> _World:
    clusters = max(6, min(60, sites // 4))
    weight = 1 / np.arange(1, clusters + 1) ** 0.9
    height, angle = rng.uniform(-0.5, 0.85, clusters), rng.uniform(0, 2 * np.pi, clusters)
    flat = np.sqrt(1 - height**2)
    centre = np.stack([flat * np.cos(angle), flat * np.sin(angle), height], axis=1)

    def points(count: int) -> Float:
        home = rng.choice(clusters, count, p=weight / weight.sum())
        xyz = centre[home] + rng.normal(size=(count, 3)) * (0.03 + 0.1 * np.sqrt(weight[home]))[:, None]
        return np.asarray(xyz / np.linalg.norm(xyz, axis=1)[:, None], float)

    site_xyz, region_xyz = points(sites), points(regions)
    km = EARTH_KM * np.arccos(np.clip(region_xyz @ site_xyz.T, -1, 1))
    last_mile = rng.lognormal(np.log(6), 0.5, regions)
    rtt = 2 * km / FIBRE_KM_PER_MS * 1.6 * rng.lognormal(0, 0.08, km.shape) + last_mile[:, None]
    return _World(site_xyz, region_xyz, rng.pareto(1.2, regions) + 0.05, rtt, rng)


def _shapes(models: int, sizes: int, points: int, rng: np.random.Generator) -> dict[str, Any]:
    """One row per (model, size, point): quarters, speed (work a replica does), TTFT at its point."""
    base = rng.integers(0, len(LADDER) - sizes + 1, models)
    ttft = rng.uniform(25, 90, models)
    rows = [
        (m, LADDER[base[m] + z], (LADDER[base[m] + z] / LADDER[base[m]]) ** 0.97 * POINT_SPEED[k],
         ttft[m] * POINT_TTFT_MS[k] / (1 + 0.35 * z))
        for m in range(models) for z in range(sizes) for k in range(points)
    ]  # fmt: skip
    model, quarters, speed, first = (np.array(column) for column in zip(*rows, strict=True))
    return {"model": model, "quarters": quarters, "speed": speed, "ttft": first}


def _demand(world: _World, models: int, services: int, slices: int, rng: np.random.Generator) -> dict[str, Any]:
    regions = len(world.users)
    fame = rng.permutation(1 / np.arange(1, models + 1) ** 0.7)
    budget = rng.choice([60.0, 90.0, 120.0, 200.0], (models, services))
    region, model, service = (a.ravel() for a in np.indices((regions, models, services)))
    rate = world.users[region] * fame[model] * rng.lognormal(0, 0.5, len(region))
    keep = rng.random(len(region)) >= 0.1
    region, model, service, rate = region[keep], model[keep], service[keep], rate[keep]
    phase = rng.uniform(0, 1, regions)
    wave = 1 + 0.5 * np.sin(2 * np.pi * (phase[:, None] + np.arange(slices) / max(slices, 1)))
    count = len(region)
    return {
        "region": np.tile(region, slices),
        "model": np.tile(model, slices),
        "slice": np.repeat(np.arange(slices), count),
        "budget": np.tile(budget[model, service], slices),
        "rate": (np.tile(rate, slices) * wave[np.tile(region, slices), np.repeat(np.arange(slices), count)]),
    }


def _pairs(
    world: _World,
    shapes: dict[str, Any],
    demand: dict[str, Any],
    sites: int,
) -> dict[str, Any]:
    """Every (row, block) within the latency budget, sorted."""
    count = len(shapes["model"])
    rows, blocks, loads = [], [], []
    for i in range(len(demand["region"])):
        own = np.flatnonzero(shapes["model"] == demand["model"][i])
        late = world.rtt_ms[demand["region"][i]][:, None] + shapes["ttft"][own][None, :] > demand["budget"][i]
        site, k = np.nonzero(~late)
        rows.append(np.full(len(site), i))
        blocks.append(site * count + own[k])
        loads.append(demand["rate"][i] / shapes["speed"][own[k]])
    del sites
    return {"demand": np.concatenate(rows), "block": np.concatenate(blocks), "load": np.concatenate(loads)}


def _offers(sites: int, power: Float, fleet: float, rng: np.random.Generator) -> dict[str, Any]:
    """New servers of every kind at every site, and standing ones at some."""
    site = np.repeat(np.arange(sites), 3)
    server = np.tile(np.arange(3), sites)
    most = np.floor(power[site] / SERVER_KW[server]).astype(np.int64)
    holds = np.flatnonzero(rng.random(sites) < fleet)
    kind = rng.integers(0, 3, len(holds))
    site = np.concatenate([site, holds])
    order = np.argsort(site, kind="stable")
    return {
        "site": site[order],
        "server": np.concatenate([server, kind])[order],
        "most": np.concatenate([most, rng.integers(1, 4, len(holds))])[order],
        "standing": np.concatenate([np.zeros(3 * sites, bool), np.ones(len(holds), bool)])[order],
    }
