"""What leaving demand unserved costs."""

from collections.abc import Callable

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from placement.frames import floats, integers, keyed, texts
from placement.problem.money import server_month_usd, standing_usd
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
    all_routes: Callable[[pd.DataFrame], Routes],
) -> Float:
    """USD a month of leaving each demand row whole unserved, I.

    The service's `unserved_usd_per_1000` if given. Else three times the dearest way to serve the row: its route and
    the GPUs that it keeps busy, at the price per GPU of the dearest new server of that kind there. A row without
    any admissible route takes the largest such rate of its (model, service), else of the scenario.
    `all_routes` gives the routes on given shapes; it is asked only where a penalty is not stated, and then for every
    shape of the scenario, so that the penalty does not depend on which shapes the solver looks at.
    """
    thousands = floats(demand, "mean_requests_per_s") * 3.6 * rates.hours[row_slice]
    services = keyed(scenario.table("services"), "service")
    rate = np.array([services[name]["unserved_usd_per_1000"] for name in texts(demand, "service")], np.float64)
    missing = np.isnan(rate)
    if missing.any():
        shapes = scenario.table("shapes").drop_duplicates("shape").sort_values("shape").reset_index(drop=True)
        replica_usd = _dearest_replica_usd(scenario, rates, shapes)
        rate[missing] = _default_rate(demand, thousands, all_routes(shapes), replica_usd)[missing]
    return rate * thousands


def _dearest_replica_usd(scenario: Scenario, rates: Rates, shapes: pd.DataFrame) -> Float:
    """A replica's GPUs for a month at the price of the dearest new server of their kind at the site, P × D."""
    sites, servers = scenario.table("sites"), scenario.table("servers")
    server_usd = standing_usd(sites, servers, rates.price, rates.hours) + server_month_usd(scenario, servers)
    gpu_usd = server_usd / integers(servers, "gpus")
    kind, wanted = np.array(texts(servers, "gpu")), np.array(texts(shapes, "gpu"))
    of_kind = np.where(kind[None, :, None] == wanted[None, None, :], gpu_usd[:, :, None], 0.0)
    return np.asarray(of_kind.max(axis=1, initial=0.0) * floats(shapes, "gpus_per_replica"), np.float64)


def _default_rate(demand: pd.DataFrame, thousands: Float, routes: Routes, replica_usd: Float) -> Float:
    """USD per 1000 requests by the default rule, I."""
    dearest = np.full(len(demand), -np.inf)
    np.maximum.at(dearest, routes.demand, routes.usd + routes.load * replica_usd[routes.site, routes.shape])
    with np.errstate(divide="ignore", invalid="ignore"):
        known = np.isfinite(dearest) & (thousands > 0)
        rate = pd.Series(np.where(known, DEAREST_TIMES * dearest / thousands, np.nan))
    of_kind = rate.groupby([demand["model"], demand["service"]]).transform("max")
    filled = rate.fillna(of_kind).fillna(rate.max()).fillna(LAST_RESORT_USD_PER_1000)
    return np.asarray(filled, np.float64)
