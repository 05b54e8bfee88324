"""What leaving demand unserved costs."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from placement.frames import floats, integers, keyed, texts
from placement.problem.carbon import Carbon
from placement.problem.money import Rates, capital_usd, standing_usd
from placement.problem.offers import may_stand
from placement.problem.residency import Residency
from placement.problem.routes import classes_of, route_parts
from placement.problem.shapes import every_shape
from placement.problem.tariff import tariff
from placement.problem.transit import billed_peak_usd, transit_rule
from placement.scenario import Scenario
from placement.topology.pairs import Pairs

Float = NDArray[np.float64]
Int = NDArray[np.int64]

DEAREST_TIMES = 3.0
LAST_RESORT_USD_PER_1000 = 1.0  # where nothing in the whole period could serve anything


def unserved_usd(
    pairs: Pairs, demand: pd.DataFrame, row_slice: Int, rates: Rates, carbon: Carbon | None, residency: Residency
) -> Float:
    """USD a month of leaving each demand row whole unserved, I.

    The service's `unserved_usd_per_1000` if given. Else three times the dearest way to serve the row: its route (with
    what its own Mbit/s would add to a billed peak) and the GPUs that it keeps busy, at the price per GPU of the dearest
    server of that kind that may stand there, new in any way that is offered. A row without any admissible primary
    route takes the largest such rate of its (model, service), else of the period. Every shape of the scenario counts,
    so that the penalty does not depend on which the solver looks at.
    """
    scenario = residency.scenario
    thousands = floats(demand, "mean_requests_per_s") * 3.6 * rates.hours[row_slice]
    services = keyed(scenario.table("services"), "service")
    rate = np.array([services[name]["unserved_usd_per_1000"] for name in texts(demand, "service")], np.float64)
    missing = np.isnan(rate)
    if missing.any():
        dearest = _dearest_usd(pairs, demand, row_slice, rates, carbon, residency)
        rate[missing] = _default_rate(demand, thousands, dearest)[missing]
    return rate * thousands


def dearest_gpu_usd(scenario: Scenario, rates: Rates, carbon: Carbon | None) -> dict[str, Float]:
    """A GPU for a month at the price of the dearest new server of its kind that may stand at the site, by GPU: P.

    -inf where none may stand or none is for sale.
    """
    sites, servers = scenario.table("sites"), scenario.table("servers")
    bought, rented = capital_usd(scenario, servers)
    held = standing_usd(sites, servers, rates.price, rates.hours) + np.fmax(bought, rented)
    if carbon is not None:
        idle = carbon.standing(floats(sites, "pue"), floats(servers, "idle_kw"), rates.hours)
        held = held + carbon.usd_per_tonne * (idle + carbon.embodied_tonnes)
    usd = np.where(may_stand(scenario) & ~np.isnan(held), held / integers(servers, "gpus"), -np.inf)
    kind = np.array(texts(servers, "gpu"))
    return {gpu: usd[:, kind == gpu].max(axis=1) for gpu in sorted(set(kind.tolist()))}


def _dearest_usd(
    pairs: Pairs, demand: pd.DataFrame, row_slice: Int, rates: Rates, carbon: Carbon | None, residency: Residency
) -> Float:
    """What the dearest way to serve each row costs, I; -inf where there is none."""
    scenario = residency.scenario
    shapes = every_shape(scenario)
    prices = tariff(scenario, demand, shapes, row_slice, rates, carbon)
    gpu_usd = dearest_gpu_usd(scenario, rates, carbon)
    peak = billed_peak_usd(scenario) if transit_rule(scenario, rates.hours) is not None else None
    services = keyed(scenario.table("services"), "service")
    kbyte = np.array([services[name]["kbyte_out"] for name in texts(demand, "service")], np.float64)
    out_mbps = floats(demand, "requests_per_s") * 8 / 1000 * kbyte
    size, gpu = floats(shapes, "gpus_per_replica"), texts(shapes, "gpu")
    dearest = np.full(len(demand), -np.inf)
    of_row, classes = classes_of(demand)
    row = np.full((int(row_slice.max(initial=-1)) + 1, len(classes)), -1)  # of every class in every slice
    row[row_slice, of_row] = np.arange(len(demand))
    for part in route_parts(scenario, pairs, classes, shapes, residency=residency):
        if gpu[part.shape] not in gpu_usd:
            continue
        replica_usd = gpu_usd[gpu[part.shape]][part.site] * size[part.shape]
        ways = np.isfinite(replica_usd)
        for of_class in row:
            some = ways & (of_class[part.of] >= 0)
            rows, site = of_class[part.of[some]], part.site[some]
            late = None if part.late is None else part.late[some]
            usd = prices.usd(rows, site, part.shape, part.latency_ms[some], late)
            usd = usd + prices.load(rows, part.shape) * replica_usd[some]
            if peak is not None:
                usd = usd + out_mbps[rows] * peak[site]
            np.maximum.at(dearest, rows, usd)
    return dearest


def _default_rate(demand: pd.DataFrame, thousands: Float, dearest: Float) -> Float:
    """USD per 1000 requests by the default rule, I."""
    with np.errstate(divide="ignore", invalid="ignore"):
        known = np.isfinite(dearest) & (thousands > 0)
        rate = pd.Series(np.where(known, DEAREST_TIMES * dearest / thousands, np.nan))
    of_kind = rate.groupby([demand["model"], demand["service"]]).transform("max")
    filled = rate.fillna(of_kind).fillna(rate.max()).fillna(LAST_RESORT_USD_PER_1000)
    return np.asarray(filled, np.float64)
