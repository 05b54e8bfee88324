"""Candidate sites of atlas-2025: real PoP metros, and what power, network and energy are taken to cost there."""

from pathlib import Path

import numpy as np
import pandas as pd

from placement.geo import great_circle_km
from placement.worlds import prices, world
from placement.worlds.pops import metros
from placement.worlds.reading import rows

LEAST_PROVIDERS = 2
COVER_KM = 200.0  # a metro of a single provider is taken where no other site of its country is this near
MAX_KW_PER_RACK = 17.3  # an air-cooled rack; assumed
RACK_UNITS = 42
# The more providers stand in a metro the more space can be had there: least providers, kW free, Mbit/s, USD a month for
# an open site (cross-connects, remote hands). No public figure exists per metro: assumed throughout.
TIERS = ((20, 180.0, 100_000.0, 6000.0), (10, 110.0, 40_000.0, 4500.0), (5, 60.0, 20_000.0, 3500.0),
         (2, 34.0, 10_000.0, 2500.0), (1, 17.0, 5_000.0, 2000.0))  # fmt: skip
# Colocation, USD per kW and month: 184 is the North American primary markets' figure, 217 the global one.
COLOCATION = {"NA": 184.0}
COLOCATION_ELSEWHERE = 217.0
PUE_TEMPERATE, PUE_TROPICAL, TROPICS_DEGREES = 1.3, 1.5, 23.5  # assumed


def chosen_metros(reference: Path) -> pd.DataFrame:
    """PoP metros with at least LEAST_PROVIDERS, then single ones wherever their country has none within COVER_KM."""
    found = metros(reference).sort_values(["providers", "site"], ascending=[False, True]).reset_index(drop=True)
    taken: list[int] = []
    columns = ("country", "latitude", "longitude", "providers")
    for i, (country, latitude, longitude, providers) in enumerate(rows(found, *columns)):
        mine = found.loc[taken]
        mine = mine[mine["country"] == country]
        km = great_circle_km(latitude, longitude, mine["latitude"], mine["longitude"])
        if providers >= LEAST_PROVIDERS or not (km < COVER_KM).any():
            taken.append(i)
    return found.loc[taken].sort_values("site").reset_index(drop=True)


def sites(reference: Path) -> pd.DataFrame:
    """Rows of sites.csv, sorted by site, with `note` saying where the figures of the row come from."""
    frame = chosen_metros(reference)
    facts = world.countries(reference).set_index("country")
    frame["iso3"], frame["continent"] = frame["country"].map(facts["iso3"]), frame["country"].map(facts["continent"])
    frame = frame[frame["iso3"].notna()].reset_index(drop=True)
    frame["name"] = frame["city"] + ", " + frame["country"].map(facts["name"])
    frame = frame.join(_tier(frame["providers"]))
    parts = [builder(reference, frame) for builder in (prices.electricity, prices.egress, prices.grid_carbon)]
    for part in parts:
        frame[part.columns[0]] = part.iloc[:, 0]
    frame["usd_per_kw_month"] = frame["continent"].map(COLOCATION).fillna(COLOCATION_ELSEWHERE)
    frame["pue"] = np.where(frame["latitude"].abs() < TROPICS_DEGREES, PUE_TROPICAL, PUE_TEMPERATE)
    frame["max_kw_per_rack"] = MAX_KW_PER_RACK
    counts = frame["providers"].astype(str) + " providers"
    frame["note"] = (
        counts + "; kWh: " + parts[0]["note"] + "; egress: " + parts[1]["note"] + "; CO2: " + parts[2]["note"]
    )
    return frame[COLUMNS]


COLUMNS = [
    "site", "name", "country", "latitude", "longitude", "power_kw", "rack_units", "uplink_mbps", "egress_usd_per_gb",
    "max_kw_per_rack", "open_usd_month", "usd_per_kw_month", "usd_per_kwh", "pue", "gco2_per_kwh", "note",
]  # fmt: skip


def _tier(providers: pd.Series) -> pd.DataFrame:
    found = [next(tier[1:] for tier in TIERS if n >= tier[0]) for n in providers]
    frame = pd.DataFrame(found, columns=["power_kw", "uplink_mbps", "open_usd_month"], index=providers.index)
    racks = np.ceil(frame["power_kw"] / MAX_KW_PER_RACK)
    frame["rack_units"] = (racks * RACK_UNITS).astype("int64")
    return frame
