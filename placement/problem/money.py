"""What things cost a month, as arrays for the solver. The plan's own cost is summed exactly in `placement.plan.ledger`.

A month is 730 hours. Sources: capital recovery factor r/(1-(1+r)^-n), e.g. Park, Contemporary Engineering Economics;
idle and load power as in Barroso, Hölzle, Ranganathan, The Datacenter as a Computer, chapter 5.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from placement.scenario import Scenario

Float = NDArray[np.float64]

MONTH_HOURS = 730.0


@dataclass(frozen=True)
class Rates:
    """What energy costs and how long slices last: price P × T in USD/kWh, hours T a month."""

    price: Float
    hours: Float


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
    """Price of a kWh at every site and slice, P × T."""
    return by_site_and_slice(scenario, slices, "usd_per_kwh")


def by_site_and_slice(scenario: Scenario, slices: tuple[str, ...], column: str) -> Float:
    """A figure of energy, P × T: the table `energy` from the finest row on, else the site's own; NaN where absent."""
    sites = scenario.table("sites")
    figure = np.repeat(np.asarray(sites[column], np.float64)[:, None], len(slices), axis=1)
    energy = scenario.table("energy")
    energy = energy[energy[column].notna()]
    for by, per_slice in (("country", False), ("country", True), ("site", False), ("site", True)):
        rows = energy[(energy[by] != "") & ((energy["slice"] != "") == per_slice)]
        keys = rows[by] + "\n" + rows["slice"]
        lookup = dict(zip(keys, rows[column], strict=True))
        for t, name in enumerate(slices):
            found = (sites[by] + "\n" + (name if per_slice else "")).map(lookup)
            figure[:, t] = np.where(found.notna(), found, figure[:, t])
    return figure


def capital_usd(scenario: Scenario, servers: pd.DataFrame) -> tuple[Float, Float]:
    """A new server's month without power and place, K each: (bought, rented); NaN where that way is not offered.

    Bought: capex and installation by recovery factor, and support; rented: rent and support.
    """
    factor = recovery_factor(scenario.document.money.wacc / 12, np.asarray(servers["months"], np.float64))
    support = servers["support_usd_month"].fillna(0.0)
    bought = (servers["capex_usd"] + servers["install_usd"].fillna(0.0)) * factor + support
    return np.asarray(bought, np.float64), np.asarray(servers["rent_usd_month"] + support, np.float64)


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
