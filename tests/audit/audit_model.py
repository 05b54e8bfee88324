"""A second opinion on bounds: one period of a world as one MILP for scipy, written from the equations.

`solved(world, period)` is the optimum of a period by itself; with prices the least of the same with rules 1 and 9 to 12
priced instead of kept, a billed peak as the mean over the slices that are surely counted, and the rows of rule 6 for 2,
4 and 8 GPUs left out, which is what a certificate proves. A demand row is never priced above its penalty, which would
prove less, and at its penalty where no site could serve it.
"""

from dataclasses import dataclass

import numpy as np
from audit_milp import Model, Terms
from audit_model_failures import failures, failures_apart
from audit_model_limits import limits
from audit_model_machines import machines
from audit_model_routes import Route, counted_usd, peaks, routes_of
from audit_model_world import World, key_of, mean_of


@dataclass(frozen=True)
class Prices:
    """Multipliers of one period by name."""

    demand: dict[tuple[str, ...], float]
    up: dict[tuple[str, str], float]
    down: dict[tuple[str, str], float]
    limit: dict[str, float]
    budget: float


def solved(world: World, period: str, prices: Prices | None = None) -> float:
    """The optimum; with prices the least of the priced problem."""
    return _model(world, period, prices).minimum()


def fair_prices(world: World, period: str) -> tuple[Prices, dict[tuple[str, tuple[str, ...]], float]]:
    """What the linear relaxation pays: prices of one period, and of its failure rows by domain and row."""
    usd = _model(world, period, None, apart=True).duals()
    of_failures = {name[1:]: usd[name] for name in usd if name[0] == "failure"}
    demand = {name[1]: usd[name] for name in usd if name[0] == "demand"}
    wires = [(site["site"], t) for site in world.rows("sites") for t in world.hours]
    return Prices(
        demand=demand,
        up={wire: -usd.get(("up", *wire), 0.0) for wire in wires},
        down={wire: -usd.get(("down", *wire), 0.0) for wire in wires},
        limit={name: -usd[("limit", name)] for name, _, _ in limits(world, period)},
        budget=-usd.get(("budget",), 0.0),
    ), of_failures


def _model(world: World, period: str, prices: Prices | None, *, apart: bool = False) -> Model:
    model = Model()
    routes = list(routes_of(world, period))
    machines(model, world, priced=prices is not None)
    spent = dict(zip(model.columns, model.cost, strict=True))
    penalty = {}
    for row in world.demand(period):
        rate = float(world.services[row["service"]]["unserved_usd_per_1000"])
        penalty[key_of(row)] = mean_of(row) * 3.6 * world.hours[row["slice"]] * rate
        model.column(("u", key_of(row)), penalty[key_of(row)], 1)
    for route in routes:
        counted = counted_usd(world, route) if prices is not None else 0.0
        model.column(route.share, route.usd + counted, 1)
        spent[route.share] = route.usd + counted
        model.row([(route.share, 1), (route.replicas(world), -1)], 0)
    if prices is None:
        (failures_apart if apart else failures)(model, world, period, routes)
    for key, usd in penalty.items():
        mine = [route for route in routes if route.key == key]
        terms: Terms = [(("u", key), 1.0), *((route.share, 1.0) for route in mine)]
        if prices is None:
            model.row(terms, 1, 1, ("demand", key))
        else:
            servable = any(model.upper[model.columns[route.replicas(world)]] for route in mine)
            model.state(terms, 1, -min(prices.demand[key], usd) if servable else -usd)
    _serving(model, world, routes, prices)
    if prices is None:
        spent |= peaks(model, world, routes)
    for name, terms, most in limits(world, period):
        model.state(terms, most, None if prices is None else prices.limit[name], ("limit", name))
    monthly = [row["monthly_usd"] for row in world.rows("budgets") if row["period"] in ("", period)]
    if not np.isnan(monthly).all():
        model.state(
            list(spent.items()), float(np.nanmin(monthly)), None if prices is None else prices.budget, ("budget",)
        )
    return model


def _serving(model: Model, world: World, routes: list[Route], prices: Prices | None) -> None:
    for site in world.rows("sites"):
        for t in world.hours:
            here = [route for route in routes if route.site == site["site"] and route.key[3] == t]
            for name in {route.replicas(world) for route in here}:
                model.row([*((r.share, r.load) for r in here if r.replicas(world) == name), (name, -1)], 0)
            for figure, limit, kind in (("out", site["uplink_mbps"], "up"), ("in_", site["downlink_mbps"], "down")):
                if not np.isnan(limit):
                    terms: Terms = [*((r.share, getattr(r, figure)) for r in here), (("open", site["site"]), -limit)]
                    usd = None if prices is None else getattr(prices, kind)[(site["site"], t)]
                    model.state(terms, 0, usd, (kind, site["site"], t))
