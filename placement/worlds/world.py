"""Facts about countries, blocs and cities: the tables of `datasets/world`, from GeoNames, ITU and bloc lists."""

import unicodedata
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

from placement.worlds.reading import numbers, read_text, write_csv

DISSOLVED = ("AN", "CS")  # Netherlands Antilles, Serbia and Montenegro: codes withdrawn from ISO 3166
OLDEST_INTERNET_YEAR = 2010  # an older share says nothing about today's users (three territories stop at 0 % in 1995)
LEAST_CITY_POPULATION = 50_000
EEA_BESIDE_EU = ("IS", "LI", "NO")


def countries(reference: Path) -> pd.DataFrame:
    """One row per ISO alpha-2 country, sorted.

    Columns: country, iso3, name, continent (GeoNames: AF AN AS EU NA OC SA), latitude and longitude of the population
    centre (degrees, empty where no town of 15,000 is known), population, internet_users and its year (empty where no
    figure since 2010 is published: Taiwan among others).
    """
    raw = read_text(reference / "users" / "countries_geonames.csv")
    raw = raw[~raw["iso"].isin(DISSOLVED)]
    frame = pd.DataFrame(
        {"country": raw["iso"], "iso3": raw["iso3"], "name": raw["name"], "continent": raw["continentcode"]}
    )
    frame["population"] = numbers(raw["population"]).astype("int64")
    centre = _population_centres(read_cities(reference)).reset_index()
    frame = frame.merge(centre, on="country", how="left").merge(internet_users(reference), on="country", how="left")
    order = ["country", "iso3", "name", "continent", "latitude", "longitude", "population"]
    return frame.sort_values("country")[[*order, "internet_users", "internet_users_year"]].reset_index(drop=True)


def internet_users(reference: Path) -> pd.DataFrame:
    """country, internet_users, internet_users_year (Int64): ITU share × population, only figures since 2010."""
    raw = read_text(reference / "users" / "internet_users_by_country.csv")
    raw = raw[(raw["iso"] != "") & (raw["internet_users"] != "")]
    frame = pd.DataFrame({"country": raw["iso"]})
    frame["internet_users"] = numbers(raw["internet_users"]).round().astype("Int64")
    frame["internet_users_year"] = numbers(raw["Year"]).astype("Int64")
    return frame[frame["internet_users_year"] >= OLDEST_INTERNET_YEAR].reset_index(drop=True)


def read_cities(reference: Path) -> pd.DataFrame:
    """Every GeoNames city: geoname_id, city, country, admin1, latitude, longitude, population, zone."""
    raw = read_text(reference / "users" / "cities15000.csv.gz")
    return pd.DataFrame(
        {
            "geoname_id": numbers(raw["geonameid"]).astype("int64"),
            "city": raw["name"],
            "country": raw["cc"],
            "admin1": raw["admin1"],
            "latitude": numbers(raw["lat"]),
            "longitude": numbers(raw["lon"]),
            "population": numbers(raw["population"]).astype("int64"),
            "zone": raw["tz"],
        }
    )


def centre(latitude: pd.Series, longitude: pd.Series, weight: pd.Series) -> tuple[float, float]:
    """The weighted mean direction on the sphere, in degrees to four places; safe across the date line."""
    lat, lon = np.radians(latitude.to_numpy(np.float64)), np.radians(longitude.to_numpy(np.float64))
    w = weight.to_numpy(np.float64)
    x, y, z = (float(w @ v) for v in (np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)))
    return round(float(np.degrees(np.arctan2(z, np.hypot(x, y)))), 4), round(float(np.degrees(np.arctan2(y, x))), 4)


def _population_centres(cities_: pd.DataFrame) -> pd.DataFrame:
    rows = {}
    for country, group in cities_.sort_values("geoname_id").groupby("country"):
        weight = group["population"] if group["population"].sum() > 0 else group["population"] + 1
        rows[country] = centre(group["latitude"], group["longitude"], weight)
    return pd.DataFrame.from_dict(rows, orient="index", columns=["latitude", "longitude"]).rename_axis("country")


def blocs(reference: Path) -> pd.DataFrame:
    """bloc, country: upper-case names; the EEA holds the EU, which its source leaves out."""
    raw = read_text(reference / "law" / "sovereignsky" / "bloc_members.csv")
    members = {(bloc.upper(), country) for bloc, country in zip(raw["bloc"], raw["iso2"], strict=True)}
    union = {country for bloc, country in members if bloc == "EU"}.union(EEA_BESIDE_EU)
    members |= {("EEA", country) for country in union}
    return pd.DataFrame(sorted(members), columns=["bloc", "country"])


def cities(reference: Path) -> pd.DataFrame:
    """Cities of at least 50,000 people and every capital found by name, by country and falling population.

    Columns: geoname_id, city, country, latitude, longitude, population, capital (0 or 1), utc_offset_hours (standard
    time of 2025).
    """
    frame = read_cities(reference)
    raw = read_text(reference / "users" / "countries_geonames.csv")
    capital_of = dict(zip(raw["iso"], raw["capital"].map(_plain), strict=True))
    named = frame["city"].map(_plain) == frame["country"].map(capital_of)
    largest = frame[named].sort_values(["population", "geoname_id"], ascending=[False, True])
    frame["capital"] = frame.index.isin(largest.drop_duplicates("country").index).astype("int64")
    frame = frame[(frame["population"] >= LEAST_CITY_POPULATION) | (frame["capital"] == 1)]
    frame = frame.assign(utc_offset_hours=frame["zone"].map({z: standard_offset_hours(z) for z in set(frame["zone"])}))
    frame = frame.round({"latitude": 4, "longitude": 4})
    frame = frame.sort_values(["country", "population", "geoname_id"], ascending=[True, False, True])
    return frame.drop(columns=["admin1", "zone"]).reset_index(drop=True)


def standard_offset_hours(zone: str) -> float:
    """Hours from UTC without summer time, as of 2025."""
    offsets = [ZoneInfo(zone).utcoffset(datetime(2025, month, 1)) for month in (1, 7)]
    return min(offset.total_seconds() for offset in offsets if offset is not None) / 3600.0


def _plain(name: str) -> str:
    """Lower case, letters only, without accents: `Bogotá` and `Bogota` are one."""
    folded = unicodedata.normalize("NFKD", name).casefold()
    return "".join(letter for letter in folded if letter.isalpha() and not unicodedata.combining(letter))


def build(reference: Path, out: Path) -> None:
    """Write countries.csv, blocs.csv and cities.csv under `out` from the reference folder."""
    write_csv(countries(reference), out / "countries.csv")
    write_csv(blocs(reference), out / "blocs.csv")
    write_csv(cities(reference), out / "cities.csv")
