"""A period's draft to its Problem: the arrays in order, the rules that are on, and the names."""

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from placement.frames import floats, integers, keyed, numbered, records, texts
from placement.problem.draft import Draft
from placement.problem.goals import Sums, total_rows
from placement.problem.ground import Ground
from placement.problem.limits import Limits, limit_rows, monthly_budget_usd
from placement.problem.moves import moves_counted, moves_rule
from placement.problem.names import DemandRow, Names, Offer, ShapeName
from placement.problem.offers import WAYS, Offers, server_use, site_limit
from placement.problem.periods import DEMAND_KEY
from placement.problem.pins import pin_rule
from placement.problem.reserve import reserve_rule
from placement.problem.shapes import quarters
from placement.problem.spread import spread_rule
from placement.problem.tariff import Figure
from placement.problem.transit import transit_rule
from placement.scenario import Scenario
from solvers.problem import CAPACITY_FACTOR, Problem
from solvers.rules import Moves, Rules

Float = NDArray[np.float64]
Int = NDArray[np.int64]
Bool = NDArray[np.bool_]
Number = TypeVar("Number", np.int64, np.float64)

FIGURES: tuple[Figure, Figure] = ("load", "usd")


@dataclass(frozen=True)
class Parts:
    """One period, whole."""

    problem: Problem
    names: Names
    sums: Sums


@dataclass(frozen=True)
class _PairArrays:
    """The primary pairs and, for N-1, the backup pairs (the same arrays where the two are one)."""

    demand: Int
    block: Int
    load: Float
    usd: Float
    kept: Bool | None  # which routes they are; None: all
    backup: tuple[Int, Int, Float]


def assemble(ground: Ground, offers: Offers, draft: Draft) -> Parts:
    """The period's Problem over the `offers` that all periods have."""
    scenario, blocks, sites = ground.scenario, draft.blocks, ground.scenario.table("sites")
    limits = limit_rows(scenario, offers, ground.periods, draft.period.number)
    pairs = _pairs(draft)
    sums = _sums(ground, offers, draft, pairs)
    problem = Problem(
        open_usd=np.nan_to_num(floats(sites, "open_usd_month")),
        # the network keeps free what rounding to parts per billion may need
        uplink_mbps=np.nan_to_num(floats(sites, "uplink_mbps"), nan=np.inf) * CAPACITY_FACTOR,
        downlink_mbps=np.nan_to_num(floats(sites, "downlink_mbps"), nan=np.inf) * CAPACITY_FACTOR,
        site_limit=site_limit(sites),
        server_gpu=ground.server_type,
        server_gpus=np.tile(integers(scenario.table("servers"), "gpus"), len(ground.tenants.names)),
        server_use=np.tile(server_use(scenario.table("servers")), (len(ground.tenants.names), 1)),
        offer_site=offers.site,
        offer_server=offers.owner * len(scenario.table("servers")) + offers.server,
        offer_max=offers.most,
        offer_usd=offers.usd,
        shape_gpu=ground.shape_type,
        shape_quarters=quarters(ground.shapes),
        shape_model=_models(ground.shapes, ground.shapes),
        block_site=blocks.site,
        block_shape=blocks.shape,
        block_max=blocks.most,
        block_choice=blocks.choice,
        block_slice=blocks.slice,
        demand_model=_models(ground.shapes, draft.demand),
        demand_slice=draft.row_slice,
        unserved_usd=draft.penalty_usd,
        out_mbps=_mbps(scenario, draft.demand, "kbyte_out"),
        in_mbps=_mbps(scenario, draft.demand, "kbyte_in"),
        pair_demand=pairs.demand,
        pair_block=pairs.block,
        pair_load=pairs.load,
        pair_usd=pairs.usd,
        limit_matrix=limits.matrix,
        limit_rhs=limits.rhs,
        monthly_budget_usd=monthly_budget_usd(scenario, draft.period) * CAPACITY_FACTOR,
        rules=_rules(ground, draft, pairs, sums),
    )
    return Parts(problem, _names(ground, offers, draft, limits), sums)


def _pairs(draft: Draft) -> _PairArrays:
    routes, block = draft.routes, draft.blocks.of_route
    kept = draft.pairs(routes.primary)
    demand, of_block = _where(routes.demand, kept), _where(block, kept)
    load, usd = (draft.prices.of_routes(routes, figure, kept) for figure in FIGURES)
    backup = (demand, of_block, load)
    if routes.backup is not None:
        there = draft.pairs(routes.backup)
        backup = (_where(routes.demand, there), _where(block, there), draft.prices.of_routes(routes, "load", there))
    return _PairArrays(demand, of_block, load, usd, kept, backup)


def _where(array: NDArray[Number], mask: Bool | None) -> NDArray[Number]:
    """The entries of a mask; the array itself where all stay."""
    return array if mask is None else array[mask]


def _rules(ground: Ground, draft: Draft, pairs: _PairArrays, sums: Sums) -> Rules:
    scenario, blocks = ground.scenario, draft.blocks
    return Rules(
        transit=transit_rule(scenario, ground.rates.hours),
        reserve=reserve_rule(scenario, ground.domains, len(ground.sites), pairs.backup),
        moves=_moves(ground, draft),
        pins=pin_rule(ground.pins, blocks.site, ground.host.model[blocks.shape]),
        jobs=None if draft.jobs is None else draft.jobs.rule,
        spread=spread_rule(scenario, draft.demand),
        totals=total_rows(scenario, sums),
    )


def _moves(ground: Ground, draft: Draft) -> Moves | None:
    """(14) of the first period; None where nothing asks how much is added."""
    if draft.period.number > 0 or not moves_counted(ground.scenario):
        return None
    blocks, names = draft.blocks, _shape_names(ground)
    own = [""] * len(blocks.site) if blocks.slice is None else [ground.slices[t] for t in blocks.slice]
    places = [(ground.sites[p], names[d], t) for p, d, t in zip(blocks.site, blocks.shape, own, strict=True)]
    return moves_rule(ground.scenario, ground.previous, draft.period.months, places, ground.slices)


def _shape_names(ground: Ground) -> tuple[ShapeName, ...]:
    rows = zip(texts(ground.shapes, "shape"), texts(ground.shapes, "tenant"), strict=True)
    return tuple(ShapeName(shape, tenant) for shape, tenant in rows)


def _sums(ground: Ground, offers: Offers, draft: Draft, pairs: _PairArrays) -> Sums:
    """What goals and rows add up; only what one of them asks for."""
    goals, requests = ground.scenario.document.objective.goals, draft.prices.thousands() * 1000
    routes, carbon = draft.routes, ground.carbon is not None
    waits = None
    if "latency" in goals:
        waits = requests[pairs.demand] * _where(routes.spread(routes.latency_ms), pairs.kept)
    first = draft.period.number == 0
    return Sums(
        requests=requests,
        pair_request_ms=waits,
        offer_tonnes=offers.tonnes if carbon else None,
        pair_tonnes=draft.prices.of_routes(routes, "tonnes", pairs.kept) if carbon else None,
        job_tonnes=draft.jobs.tonnes if carbon and draft.jobs is not None else None,
        added=np.ones(len(draft.blocks.site)) if "moves" in goals and first else None,
    )


def _models(shapes: pd.DataFrame, frame: pd.DataFrame) -> Int:
    """The number of every row's model; -1 for one that no shape serves."""
    number = numbered(sorted(set(texts(shapes, "model"))))
    return np.array([number.get(name, -1) for name in texts(frame, "model")], np.int64)


def _mbps(scenario: Scenario, demand: pd.DataFrame, size: str) -> Float:
    """What whole rows send (kbyte_out) or receive (kbyte_in) at the design rate, I."""
    services = keyed(scenario.table("services"), "service")
    kbyte = np.array([services[name][size] for name in texts(demand, "service")], np.float64)
    return np.asarray(floats(demand, "requests_per_s") * 8 / 1000 * kbyte, np.float64)


def _names(ground: Ground, offers: Offers, draft: Draft, limits: Limits) -> Names:
    servers, tenants = texts(ground.scenario.table("servers"), "server"), ground.tenants.names
    held = zip(offers.site, offers.server, offers.way, offers.owner, strict=True)
    return Names(
        period=draft.period.name,
        sites=ground.sites,
        slices=ground.slices,
        shapes=_shape_names(ground),
        offers=tuple(Offer(ground.sites[p], servers[k], WAYS[way], tenants[o]) for p, k, way, o in held),
        demands=tuple(DemandRow(*(row[name] for name in DEMAND_KEY)) for row in records(draft.demand)),
        limits=limits.names,
        domains=tuple(ground.domains),
        jobs=() if draft.jobs is None else draft.jobs.jobs,
        job_options=() if draft.jobs is None else draft.jobs.names,
        pins=() if ground.pins is None else ground.pins.names,
    )
