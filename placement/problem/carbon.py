"""(16) Carbon: of energy by site and slice, and of making new servers; tCO2e a month."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from placement.frames import floats, texts
from placement.problem.errors import UnplannableError
from placement.problem.money import by_site_and_slice
from placement.scenario import Scenario

Float = NDArray[np.float64]
Bool = NDArray[np.bool_]

KG = 1000.0  # a tonne
GRAMS = 1e6


class CarbonError(UnplannableError):
    """Carbon is limited, priced or a goal, and a figure of it is absent."""


@dataclass(frozen=True)
class Carbon:
    """Figures of a scenario that limits or prices carbon; 0 where nothing could stand."""

    gco2_per_kwh: Float  # P × T
    embodied_tonnes: Float  # K: a month of a new server
    usd_per_tonne: float  # 0 where it has no price

    def standing(self, pue: Float, idle_kw: Float, hours: Float) -> Float:
        """tCO2e a month of the idle energy of any standing server, P × K."""
        return np.outer(pue * (self.gco2_per_kwh @ hours), idle_kw) / GRAMS


def carbon_asked(scenario: Scenario) -> bool:
    """Whether a limit, a price or a goal needs the figures."""
    document = scenario.document
    priced = document.objective.usd_per_tco2e is not None
    return priced or document.limits.max_tco2e_month is not None or "carbon" in document.objective.goals


def carbon_figures(scenario: Scenario, slices: tuple[str, ...], stands: Bool, new: Bool) -> Carbon | None:
    """The figures, None where nothing asks for them.

    Args:
        stands: sites where some server could stand, P.
        new: servers that could be bought or rented, K.

    Raises:
        CarbonError: a figure is absent of such a site or server; all of them are named.
    """
    if not carbon_asked(scenario):
        return None
    sites, servers = scenario.table("sites"), scenario.table("servers")
    grams = by_site_and_slice(scenario, slices, "gco2_per_kwh")
    embodied = floats(servers, "embodied_kgco2e")
    dark = np.isnan(grams).any(axis=1) & stands
    unknown = np.isnan(embodied) & new
    site, server = texts(sites, "site"), texts(servers, "server")
    missing = [f"gco2_per_kwh of site {site[p]!r}" for p in np.flatnonzero(dark)]
    missing += [f"embodied_kgco2e of server {server[k]!r}" for k in np.flatnonzero(unknown)]
    if missing:
        raise CarbonError(f"carbon is limited, priced or a goal, and these figures are absent: {', '.join(missing)}")
    price = scenario.document.objective.usd_per_tco2e or 0.0
    months = floats(servers, "months")
    return Carbon(np.nan_to_num(grams), np.nan_to_num(embodied) / months / KG, price)
