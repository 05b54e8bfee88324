"""From a scenario and its pairs to the arrays that a solver takes."""

import numpy as np
import pandas as pd

from placement.problem.blocks import all_blocks, choices, useful_servers
from placement.problem.limits import limit_rows, monthly_budget_usd
from placement.problem.money import energy_usd_per_kwh, slice_hours
from placement.problem.names import DemandRow, Names, Offer
from placement.problem.offers import all_offers, site_limit
from placement.problem.penalty import unserved_usd
from placement.problem.routes import Rates, admissible_routes
from placement.problem.shapes import quarters, undominated
from placement.scenario import Scenario
from placement.topology.pairs import Pairs
from solvers.problem import Problem


def build_problem(scenario: Scenario, pairs: Pairs) -> tuple[Problem, Names]:
    """The Problem of a scenario, and the names of its rows and columns.

    The problem is exact: what it leaves out (shapes that another of the same group beats in everything, blocks that
    no site could hold, more replicas than a site's demand could fill) is in no best plan.
    """
    demand = _demand(scenario)
    slices = tuple(sorted(set(demand["slice"])))
    row_slice = demand["slice"].map({name: t for t, name in enumerate(slices)}).to_numpy(np.int64)
    rates = Rates(energy_usd_per_kwh(scenario, slices), slice_hours(scenario, slices))
    shapes = undominated(scenario, demand)
    routes = admissible_routes(scenario, pairs, demand, row_slice, tuple(shapes["shape"]), rates)
    gpus = tuple(sorted(set(shapes["gpu"])))
    offers = all_offers(scenario, gpus, rates)
    penalty = unserved_usd(scenario, demand, row_slice, rates, routes, shapes, offers)
    blocks, block_of_route = all_blocks(scenario, routes, shapes, offers, row_slice, len(slices))
    keep = block_of_route >= 0
    offers["max"] = np.minimum(offers["max"], useful_servers(offers, blocks, shapes))
    offers = offers[offers["max"] > 0].reset_index(drop=True)
    limits = limit_rows(scenario, offers)
    sites, servers = scenario.table("sites"), scenario.table("servers")
    services = scenario.table("services").set_index("service")
    per_request = services.loc[demand["service"]]
    design = demand["requests_per_s"].to_numpy(np.float64)
    number = {name: j for j, name in enumerate(gpus)}
    models = {name: m for m, name in enumerate(sorted(set(shapes["model"]) | set(demand["model"])))}
    problem = Problem(
        open_usd=sites["open_usd_month"].fillna(0.0).to_numpy(np.float64),
        uplink_mbps=sites["uplink_mbps"].fillna(np.inf).to_numpy(np.float64),
        downlink_mbps=sites["downlink_mbps"].fillna(np.inf).to_numpy(np.float64),
        site_limit=site_limit(sites),
        server_gpu=servers["gpu"].map(number).fillna(-1).to_numpy(np.int64),
        server_gpus=servers["gpus"].to_numpy(np.int64),
        server_use=servers[["power_kw", "rack_units"]].to_numpy(np.float64),
        offer_site=offers["site_number"].to_numpy(np.int64),
        offer_server=offers["server_number"].to_numpy(np.int64),
        offer_max=offers["max"].to_numpy(np.int64),
        offer_usd=offers["usd"].to_numpy(np.float64),
        shape_gpu=shapes["gpu"].map(number).to_numpy(np.int64),
        shape_quarters=quarters(shapes),
        shape_model=shapes["model"].map(models).to_numpy(np.int64),
        block_site=blocks["site"].to_numpy(np.int64),
        block_shape=blocks["shape"].to_numpy(np.int64),
        block_max=blocks["max"].to_numpy(np.int64),
        block_choice=choices(blocks, shapes),
        demand_model=demand["model"].map(models).to_numpy(np.int64),
        demand_slice=row_slice,
        unserved_usd=penalty,
        out_mbps=design * per_request["kbyte_out"].to_numpy(np.float64) * 8 / 1000,
        in_mbps=design * per_request["kbyte_in"].to_numpy(np.float64) * 8 / 1000,
        pair_demand=routes.demand[keep],
        pair_block=block_of_route[keep],
        pair_load=routes.load[keep],
        pair_usd=routes.usd[keep],
        limit_matrix=limits.matrix,
        limit_rhs=limits.rhs,
        monthly_budget_usd=monthly_budget_usd(scenario),
    )
    names = Names(
        sites=tuple(sites["site"]),
        slices=slices,
        shapes=tuple(shapes["shape"]),
        servers=tuple(servers["server"]),
        offers=tuple(Offer(o.site, o.server, bool(o.new)) for o in offers.itertuples()),
        demands=tuple(DemandRow(r.region, r.model, r.service, r.slice) for r in demand.itertuples()),
        limits=limits.names,
        pair_latency_ms=routes.latency_ms[keep],
    )
    return problem, names


def _demand(scenario: Scenario) -> pd.DataFrame:
    """The demand rows in their order: region, model, service, slice."""
    return scenario.table("demand").sort_values(["region", "model", "service", "slice"]).reset_index(drop=True)
