"""From a scenario and its pairs to the arrays that a solver takes."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from placement.frames import floats, integers, keyed, numbered, records, texts
from placement.problem.blocks import Blocks, all_blocks, useful_servers
from placement.problem.limits import Limits, limit_rows, monthly_budget_usd
from placement.problem.money import energy_usd_per_kwh, slice_hours
from placement.problem.names import DemandRow, Names, Offer
from placement.problem.offers import Offers, all_offers, gpu_room, server_use, site_limit
from placement.problem.penalty import unserved_usd
from placement.problem.routes import Rates, Routes, admissible_routes
from placement.problem.shapes import quarters, undominated
from placement.scenario import Scenario
from placement.topology.pairs import Pairs
from solvers.problem import CAPACITY_FACTOR, Problem

Float = NDArray[np.float64]

DEMAND_KEY = ["region", "model", "service", "slice"]


def demand_rows(scenario: Scenario) -> pd.DataFrame:
    """The demand rows in the Problem's order."""
    return scenario.table("demand").sort_values(DEMAND_KEY).reset_index(drop=True)


def build_problem(scenario: Scenario, pairs: Pairs) -> tuple[Problem, Names]:
    """The Problem of a scenario, and the names of its rows and columns.

    The problem is exact: what it leaves out (shapes that another of the same group beats in everything, blocks that
    no site could hold, more replicas or servers than demand could fill) is in no best plan.
    """
    demand = demand_rows(scenario)
    shapes = undominated(scenario, demand)
    slices = tuple(sorted(set(texts(demand, "slice"))))
    slice_number = numbered(slices)
    row_slice = np.array([slice_number[name] for name in texts(demand, "slice")], np.int64)
    rates = Rates(energy_usd_per_kwh(scenario, slices), slice_hours(scenario, slices))
    gpus = tuple(sorted(set(texts(shapes, "gpu"))))

    def routes_on(wanted: pd.DataFrame) -> Routes:
        return admissible_routes(scenario, pairs, demand, row_slice, tuple(texts(wanted, "shape")), rates)

    routes = routes_on(shapes)
    offers = all_offers(scenario, gpus, rates)
    penalty = unserved_usd(scenario, demand, row_slice, rates, routes_on)
    blocks = all_blocks(routes, shapes, gpus, gpu_room(scenario, offers, gpus), len(slices), row_slice)
    most = np.minimum(offers.most, useful_servers(offers, blocks, shapes, scenario.table("servers")))
    offers = Offers(offers.site, offers.server, offers.new, most, offers.usd).where(most > 0)
    limits = limit_rows(scenario, offers)
    problem = Problem(
        **_site_arrays(scenario),
        **_server_arrays(scenario, gpus),
        **_shape_arrays(shapes, gpus),
        **_demand_arrays(scenario, demand, shapes),
        **_route_arrays(routes, blocks),
        demand_slice=row_slice,
        unserved_usd=penalty,
        offer_site=offers.site,
        offer_server=offers.server,
        offer_max=offers.most,
        offer_usd=offers.usd,
        block_site=blocks.site,
        block_shape=blocks.shape,
        block_max=blocks.most,
        block_choice=blocks.choice,
        limit_matrix=limits.matrix,
        limit_rhs=limits.rhs,
        monthly_budget_usd=monthly_budget_usd(scenario) * CAPACITY_FACTOR,
    )
    return problem, _names(scenario, demand, shapes, slices, offers, limits, routes.latency_ms[blocks.of_route >= 0])


def _site_arrays(scenario: Scenario) -> dict[str, Any]:
    """What the sites charge and hold; the network keeps free what rounding to parts per billion may need."""
    sites = scenario.table("sites")
    return {
        "open_usd": np.nan_to_num(floats(sites, "open_usd_month")),
        "uplink_mbps": np.nan_to_num(floats(sites, "uplink_mbps"), nan=np.inf) * CAPACITY_FACTOR,
        "downlink_mbps": np.nan_to_num(floats(sites, "downlink_mbps"), nan=np.inf) * CAPACITY_FACTOR,
        "site_limit": site_limit(sites),
    }


def _server_arrays(scenario: Scenario, gpus: tuple[str, ...]) -> dict[str, Any]:
    servers, number = scenario.table("servers"), numbered(gpus)
    return {
        "server_gpu": np.array([number.get(name, -1) for name in texts(servers, "gpu")], np.int64),
        "server_gpus": integers(servers, "gpus"),
        "server_use": server_use(servers),
    }


def _shape_arrays(shapes: pd.DataFrame, gpus: tuple[str, ...]) -> dict[str, Any]:
    number, models = numbered(gpus), numbered(sorted(set(texts(shapes, "model"))))
    return {
        "shape_gpu": np.array([number[name] for name in texts(shapes, "gpu")], np.int64),
        "shape_quarters": quarters(shapes),
        "shape_model": np.array([models[name] for name in texts(shapes, "model")], np.int64),
    }


def _demand_arrays(scenario: Scenario, demand: pd.DataFrame, shapes: pd.DataFrame) -> dict[str, Any]:
    """Models are numbered as in the shapes: -1 for one that no shape serves."""
    services = keyed(scenario.table("services"), "service")
    number = numbered(sorted(set(texts(shapes, "model"))))
    mbps_per_kbyte = floats(demand, "requests_per_s") * 8 / 1000
    size = [(services[name]["kbyte_out"], services[name]["kbyte_in"]) for name in texts(demand, "service")]
    kbyte = np.array(size, np.float64).reshape(len(demand), 2)
    return {
        "demand_model": np.array([number.get(name, -1) for name in texts(demand, "model")], np.int64),
        "out_mbps": mbps_per_kbyte * kbyte[:, 0],
        "in_mbps": mbps_per_kbyte * kbyte[:, 1],
    }


def _route_arrays(routes: Routes, blocks: Blocks) -> dict[str, Any]:
    held = blocks.of_route >= 0
    return {
        "pair_demand": routes.demand[held],
        "pair_block": blocks.of_route[held],
        "pair_load": routes.load[held],
        "pair_usd": routes.usd[held],
    }


def _names(
    scenario: Scenario,
    demand: pd.DataFrame,
    shapes: pd.DataFrame,
    slices: tuple[str, ...],
    offers: Offers,
    limits: Limits,
    pair_latency_ms: Float,
) -> Names:
    sites, servers = texts(scenario.table("sites"), "site"), texts(scenario.table("servers"), "server")
    held = zip(offers.site, offers.server, offers.new, strict=True)
    return Names(
        sites=tuple(sites),
        slices=slices,
        shapes=tuple(texts(shapes, "shape")),
        offers=tuple(Offer(sites[p], servers[k], bool(new)) for p, k, new in held),
        demands=tuple(DemandRow(*(row[name] for name in DEMAND_KEY)) for row in records(demand)),
        limits=limits.names,
        pair_latency_ms=pair_latency_ms,
    )
