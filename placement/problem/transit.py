"""(9) What the way out of a site costs: by the GB, by the mean of the day, or by the peak that is counted."""

import numpy as np
from numpy.typing import NDArray

from placement.frames import floats, texts
from placement.problem.money import MONTH_HOURS
from placement.scenario import Scenario
from solvers.rules import Transit

Float = NDArray[np.float64]
Bool = NDArray[np.bool_]

FREE_SHARE = {"peak": 0.0, "p95": 0.05}  # of the day that the busiest slices may last without being counted


def billed_peak_usd(scenario: Scenario) -> Float:
    """USD a month for a Mbit/s of the counted peak, P; 0 where none is billed."""
    sites = scenario.table("sites")
    price = np.nan_to_num(floats(sites, "transit_usd_per_mbps_month"))
    return np.where(np.isin(texts(sites, "transit_billing"), list(FREE_SHARE)), price, 0.0)


def transit_rule(scenario: Scenario, hours: Float) -> Transit | None:
    """The peaks that are billed. With one slice the peak is the flow itself, a part of what a route costs: no rule."""
    usd = billed_peak_usd(scenario)
    if len(hours) < 2 or not usd.any():
        return None
    billing = texts(scenario.table("sites"), "transit_billing")
    free = np.array([FREE_SHARE.get(how, 0.0) for how in billing])
    return Transit(usd, free, hours / MONTH_HOURS)


def egress_usd(scenario: Scenario, kbyte_out: Float, hours: Float) -> tuple[Float, Float]:
    """What one request/s of every service costs at every site, S × P each.

    The first counts an hour of the mean rate (by the GB), the second a month of the design rate in a slice that lasts
    all day (transit by the mean; by the peak too where the day is one slice).
    """
    sites = scenario.table("sites")
    transit = floats(sites, "transit_usd_per_mbps_month")
    by_gb = np.where(np.isnan(transit), floats(sites, "egress_usd_per_gb"), 0.0)
    by_flow = np.nan_to_num(transit)
    if transit_rule(scenario, hours) is not None:
        by_flow = np.where(billed_peak_usd(scenario) > 0, 0.0, by_flow)
    gigabytes = 3600 * kbyte_out / 1e6
    return by_gb[None, :] * gigabytes[:, None], by_flow[None, :] * 8 * kbyte_out[:, None] / 1000
