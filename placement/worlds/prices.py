"""Prices and carbon at a place: electricity, egress and grid intensity, from published figures of the nearest kin."""

from pathlib import Path

import pandas as pd

from placement.geo import great_circle_km
from placement.worlds.reading import numbers, read_text, rows

# A data centre pays grid fees, taxes and supply margin on top of the wholesale price; one flat figure, assumed.
ELECTRICITY_ADDER_USD_PER_KWH = 0.05
# Zones of one country are told apart by distance to these points (ISO load centres); the others have one zone each.
ZONE_PLACES = {
    "AU-NSW": (-33.9, 151.2), "AU-VIC": (-37.8, 145.0),
    "US-CAL-CISO": (36.0, -119.5), "US-MIDA-PJM": (40.0, -78.0),
    "US-NY-NYIS": (41.5, -74.5), "US-TEX-ERCO": (31.0, -97.5),
}  # fmt: skip
CONTINENT_OF_ZONE = {
    "AT": "EU", "AU": "OC", "BE": "EU", "BR": "SA", "CA": "NA", "CH": "EU", "CL": "SA", "DE": "EU", "ES": "EU",
    "FR": "EU", "IN": "AS", "JP": "AS", "KR": "AS", "NL": "EU", "PT": "EU", "SG": "AS", "US": "NA", "ZA": "AF",
}  # fmt: skip
_CLOUD = "AWS"


def electricity(reference: Path, places: pd.DataFrame) -> pd.DataFrame:
    """usd_per_kwh and its note for each place (country, continent, latitude, longitude), by the index of `places`.

    The zone's mean wholesale price of 2024 plus ELECTRICITY_ADDER_USD_PER_KWH; a country with several zones takes the
    nearest, one with none the mean of its continent's zones (assumed).
    """
    hourly = read_text(reference / "costs" / "electricity_hourly" / "wholesale_usd_per_mwh_2024.csv.gz")
    mean = pd.Series({zone: numbers(hourly[zone]).mean() / 1000.0 for zone in hourly.columns if zone != "t"})
    country = pd.Series({zone: zone[:2] for zone in mean.index})
    continent = mean.groupby(country.map(CONTINENT_OF_ZONE)).mean()
    found = []
    for own, land, latitude, longitude in rows(places, "country", "continent", "latitude", "longitude"):
        zones = [str(zone) for zone in mean.index if country[zone] == own]
        if zones:
            zone = min(zones, key=lambda z, place=(latitude, longitude): _zone_km(z, *place))  # type: ignore[misc]
            price, note = mean[zone], f"wholesale mean 2024 of {zone} + adder"
        else:
            price, note = continent[land], f"assumed: mean of the zones of {land} + adder"
        found.append((round(float(price) + ELECTRICITY_ADDER_USD_PER_KWH, 4), note))
    return pd.DataFrame(found, columns=["usd_per_kwh", "note"], index=places.index)


def _zone_km(zone: str, latitude: float, longitude: float) -> float:
    if zone not in ZONE_PLACES:
        return 0.0
    return float(great_circle_km(latitude, longitude, *ZONE_PLACES[zone]))


def egress(reference: Path, places: pd.DataFrame) -> pd.DataFrame:
    """egress_usd_per_gb and its note: the internet price of the nearest AWS region that has one (list, first tier)."""
    prices = read_text(reference / "costs" / "egress" / "skyplane_aws_transfer_costs.csv")
    prices = prices[(prices["dst"] == "internet") & ~prices["src"].str.startswith("us-gov")]
    where = read_text(reference / "sites" / "cloud_regions" / "cloud_regions_aws_azure_gcp_2025_fixed.csv")
    where = where[where["cloud"] == _CLOUD].drop_duplicates("region").set_index("region")
    offers = prices.set_index("src")[["cost"]].join(where[["lat", "lon"]], how="inner").sort_index()
    lat, lon = numbers(offers["lat"]), numbers(offers["lon"])
    found = []
    for latitude, longitude in rows(places, "latitude", "longitude"):
        nearest = offers.index[int(great_circle_km(latitude, longitude, lat, lon).argmin())]
        found.append((float(offers.loc[nearest, "cost"]), f"AWS {nearest}"))
    return pd.DataFrame(found, columns=["egress_usd_per_gb", "note"], index=places.index)


def grid_carbon(reference: Path, places: pd.DataFrame) -> pd.DataFrame:
    """gco2_per_kwh and its note: the country's figure, else the median of its continent's (assumed).

    `places` needs country, iso3 and continent.
    """
    raw = read_text(reference / "costs" / "carbon" / "codecarbon_country_intensity.csv")
    by_iso3 = pd.Series(numbers(raw["gco2_kwh"]).to_numpy(), index=raw["iso3"])
    known = places["iso3"].map(by_iso3)
    continent = known.groupby(places["continent"]).median()
    value = known.fillna(places["continent"].map(continent)).round(1)
    year = places["iso3"].map(pd.Series(raw["year"].to_numpy(), index=raw["iso3"]))
    note = ("country figure of " + year).where(known.notna(), "assumed: median of " + places["continent"])
    return pd.DataFrame({"gco2_per_kwh": value, "note": note}, index=places.index)
