"""What leaving demand unserved costs."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from placement.problem.routes import Rates, Routes
from placement.scenario import Scenario

Float = NDArray[np.float64]
Int = NDArray[np.int64]

DEAREST_TIMES = 3.0
LAST_RESORT_USD_PER_1000 = 1.0  # where nothing in the whole scenario could serve anything


def unserved_usd(
    scenario: Scenario,
    demand: pd.DataFrame,
    row_slice: Int,
    rates: Rates,
    routes: Routes,
    shapes: pd.DataFrame,
    offers: pd.DataFrame,
) -> Float:
    """USD a month of leaving each demand row whole unserved, I.

    The service's `unserved_usd_per_1000` if given. Else three times the dearest way to serve the row: its route and
    the GPUs that it keeps busy, at the price per GPU of the dearest new server of that kind there. A row without
    any admissible route takes the largest such rate of its (model, service), else of the scenario.
    """
    thousands = demand["mean_requests_per_s"].to_numpy(np.float64) * 3.6 * rates.hours[row_slice]
    given = demand["service"].map(scenario.table("services").set_index("service")["unserved_usd_per_1000"])
    rate = given.to_numpy(np.float64).copy()
    missing = np.isnan(rate)
    if missing.any():
        rate[missing] = _default_rate(demand, thousands, routes, shapes, offers)[missing]
    return rate * thousands


def _default_rate(
    demand: pd.DataFrame, thousands: Float, routes: Routes, shapes: pd.DataFrame, offers: pd.DataFrame
) -> Float:
    """USD per 1000 requests by the default rule, I."""
    new = offers[offers["new"]]
    per_gpu = (new["usd"] / new["gpus"]).groupby([new["site_number"], new["gpu"]]).max()
    table = np.zeros((int(routes.site.max(initial=0)) + 1, len(shapes)))
    for (site, gpu), usd in per_gpu.items():
        if site < len(table):
            table[site] = np.where(shapes["gpu"] == gpu, usd * shapes["gpus_per_replica"], table[site])
    dearest = np.full(len(demand), -np.inf)
    np.maximum.at(dearest, routes.demand, routes.usd + routes.load * table[routes.site, routes.shape])
    with np.errstate(divide="ignore", invalid="ignore"):
        rate = pd.Series(np.where(np.isfinite(dearest) & (thousands > 0), DEAREST_TIMES * dearest / thousands, np.nan))
    of_kind = rate.groupby([demand["model"], demand["service"]]).transform("max")
    return rate.fillna(of_kind).fillna(rate.max()).fillna(LAST_RESORT_USD_PER_1000).to_numpy(np.float64)
