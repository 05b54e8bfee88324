"""What things cost a month, as arrays for the solver. The plan's own cost is summed exactly in `placement.plan.cost`.

A month is 730 hours. Sources: capital recovery factor r/(1-(1+r)^-n), e.g. Park, Contemporary Engineering Economics;
idle and load power as in Barroso, Hölzle, Ranganathan, The Datacenter as a Computer, chapter 5.
"""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from placement.scenario import Scenario

Float = NDArray[np.float64]

MONTH_HOURS = 730.0


def recovery_factor(monthly_rate: float, months: Float) -> Float:
    """Share of an investment due each month for `months` at `monthly_rate`: the capital recovery factor."""
    if monthly_rate == 0:
        return np.asarray(1 / months, np.float64)
    return np.asarray(monthly_rate / (1 - (1 + monthly_rate) ** -months), np.float64)


def slice_hours(scenario: Scenario, slices: tuple[str, ...]) -> Float:
    """Hours a month of every slice, T; one nameless slice is the whole month."""
    if slices == ("",):
        return np.array([MONTH_HOURS])
    table = scenario.table("slices").set_index("slice")["hours_per_day"]
    return np.asarray(table.loc[list(slices)], np.float64) * MONTH_HOURS / 24


def energy_usd_per_kwh(scenario: Scenario, slices: tuple[str, ...]) -> Float:
    """Price of a kWh at every site and slice, P × T: the table `energy` from the finest row on, else the site's own."""
    sites = scenario.table("sites")
    price = np.repeat(np.asarray(sites["usd_per_kwh"], np.float64)[:, None], len(slices), axis=1)
    energy = scenario.table("energy")
    energy = energy[energy["usd_per_kwh"].notna()]
    for by, per_slice in (("country", False), ("country", True), ("site", False), ("site", True)):
        rows = energy[(energy[by] != "") & ((energy["slice"] != "") == per_slice)]
        keys = rows[by] + "\n" + rows["slice"]
        lookup = dict(zip(keys, rows["usd_per_kwh"], strict=True))
        for t, name in enumerate(slices):
            found = (sites[by] + "\n" + (name if per_slice else "")).map(lookup)
            price[:, t] = np.where(found.notna(), found, price[:, t])
    return price


def server_month_usd(scenario: Scenario, servers: pd.DataFrame) -> Float:
    """A new server's month without power and place, K: rent, or capex and installation by recovery factor; support."""
    factor = recovery_factor(scenario.document.money.wacc / 12, np.asarray(servers["months"], np.float64))
    bought = (servers["capex_usd"] + servers["install_usd"].fillna(0.0)) * factor
    paid = np.where(servers["rent_usd_month"].notna(), servers["rent_usd_month"], bought)
    return np.asarray(paid + servers["support_usd_month"].fillna(0.0), np.float64)


def standing_usd(sites: pd.DataFrame, servers: pd.DataFrame, price: Float, hours: Float) -> Float:
    """What any standing server costs a month at every site, P × K: its place (kW) and its idle energy."""
    place = np.outer(sites["usd_per_kw_month"].fillna(0.0), servers["power_kw"])
    energy = np.asarray(sites["pue"], np.float64) * (price @ hours)
    return np.asarray(place + np.outer(energy, servers["idle_kw"]), np.float64)


def dynamic_kw_per_gpu(servers: pd.DataFrame) -> dict[str, float]:
    """kW that a busy GPU draws above idle, by GPU: the most over the scenario's servers of that GPU.

    A route does not know which server carries it; taking the most keeps the sum linear and never too low.
    """
    dynamic = (servers["power_kw"] - servers["idle_kw"]) / servers["gpus"]
    return {str(gpu): float(kw) for gpu, kw in dynamic.groupby(servers["gpu"]).max().items()}


def egress_usd_per_request_s(sites: pd.DataFrame, kbyte_out: float, hours: float) -> tuple[Float, Float]:
    """Egress cost a month for one request per second, P each: (per mean rate, per design rate).

    By the GB on mean rates, or by the Mbit/s of the peak where the site pays transit.
    """
    gigabytes = 3600 * hours * kbyte_out / 1e6
    transit = np.asarray(sites["transit_usd_per_mbps_month"], np.float64)
    by_peak = np.where(np.isnan(transit), 0.0, transit * 8 * kbyte_out / 1000)
    by_mean = np.where(np.isnan(transit), np.asarray(sites["egress_usd_per_gb"], np.float64) * gigabytes, 0.0)
    return by_mean, by_peak
