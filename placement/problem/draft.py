"""One period before its offers are cut to what is of use: its demand, routes, prices, blocks and jobs."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from placement.frames import numbered, texts
from placement.problem.blocks import Blocks, all_blocks, useful_gpus
from placement.problem.ground import Ground
from placement.problem.jobs import JobPlan, job_plan
from placement.problem.penalty import unserved_usd
from placement.problem.periods import DEMAND_KEY, Period, demand_rows
from placement.problem.routes import Routes, admissible_routes
from placement.problem.shapes import quarters
from placement.problem.tariff import Tariff, tariff

Float = NDArray[np.float64]
Int = NDArray[np.int64]
Bool = NDArray[np.bool_]

CLASS = [*DEMAND_KEY, "residency"]  # what routes depend on


@dataclass(frozen=True)
class Draft:
    """A period as far as it can be said without the others."""

    period: Period
    demand: pd.DataFrame
    row_slice: Int
    prices: Tariff
    penalty_usd: Float
    routes: Routes
    blocks: Blocks
    jobs: JobPlan | None

    def pairs(self, role: Bool | None) -> Bool | None:
        """Routes that end where their shape could stand, and have the `role`; None: all of them."""
        if role is None and self.blocks.of_route.min(initial=0) >= 0:
            return None
        held = self.blocks.of_route >= 0
        if role is not None:
            held &= self.routes.spread(role)
        return None if held.all() else held

    def useful_gpus(self, ground: Ground) -> Float:
        """GPUs of every type that the period could make use of, P × types."""
        sites, slices = len(ground.sites), len(ground.slices)
        need = useful_gpus(self.blocks, ground.shape_type, quarters(ground.shapes), ground.types, sites, slices)
        return need if self.jobs is None else need + self.jobs.useful_gpus(sites, ground.types)


def draft(ground: Ground, period: Period, last: Draft | None) -> Draft:
    """The period, with the routes of the `last` one where its classes are the same."""
    scenario, shapes = ground.scenario, ground.shapes
    demand = demand_rows(scenario, period.name)
    number = numbered(ground.slices)
    row_slice = np.array([number[name] for name in texts(demand, "slice")], np.int64)
    prices = tariff(scenario, demand, shapes, row_slice, ground.rates, ground.carbon)
    if last is not None and demand[CLASS].equals(last.demand[CLASS]):
        routes = last.routes
    else:
        second, residency = ground.second_budget, ground.residency
        routes = admissible_routes(
            scenario, ground.pairs, demand, shapes, ground.tenants, residency=residency, backup=second,
            held=ground.host.most > 0,
        )  # fmt: skip
    blocks = all_blocks(
        routes,
        prices.loads(routes),
        row_slice,
        ground.host,
        len(ground.slices),
        follows=ground.follows,
        reserve=bool(ground.domains),
        pins=ground.pins,
        last=None if last is None or routes is not last.routes else last.blocks,
    )
    return Draft(
        period=period,
        demand=demand,
        row_slice=row_slice,
        prices=prices,
        penalty_usd=unserved_usd(ground.pairs, demand, row_slice, ground.rates, ground.carbon, ground.residency),
        routes=routes,
        blocks=blocks,
        jobs=job_plan(scenario, period, ground.slices, ground.rates, ground.carbon, ground.job_site),
    )
