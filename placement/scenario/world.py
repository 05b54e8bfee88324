"""Facts about countries, blocs and cities that checks compare with: read from `datasets/world`."""

import csv
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from placement.datasets import dataset
from placement.geo import great_circle_km

Float = NDArray[np.float64]

# What people write instead of ISO 3166-1 alpha-2.
_HABITS = {"UK": "GB", "EL": "GR", "EN": "GB", "YU": "RS", "SU": "RU"}


@dataclass(frozen=True)
class World:
    """`places` maps a country to its cities and population centre, degrees, n × 2 (latitude, longitude)."""

    countries: frozenset[str]
    alias: dict[str, str]  # alpha-3 code or English name, case folded -> alpha-2
    blocs: dict[str, frozenset[str]]
    places: dict[str, Float]

    def suggestion(self, value: str) -> str:
        """What to write instead of an unknown country."""
        code = _HABITS.get(value.upper()) or self.alias.get(value.casefold())
        if code is None and value.upper() in self.countries:
            code = value.upper()
        rule = "Countries are ISO 3166-1 alpha-2 codes such as DE, NA or GB."
        return f"Write {code}. {rule}" if code else rule

    def distance_km(self, country: str, latitude: Float, longitude: Float) -> Float:
        """Distance of points to the nearest known place of a country, km; NaN where none is known."""
        known = self.places.get(country)
        if known is None:
            return np.full(len(latitude), np.nan)
        every = great_circle_km(latitude[:, None], longitude[:, None], known[:, 0], known[:, 1])
        return np.asarray(every.min(axis=1), np.float64)


@cache
def world() -> World:
    """The facts, read once. Raises UnknownDatasetError where the installation lacks them."""
    countries = _rows("countries.csv")
    alias = {row["name"].casefold(): row["country"] for row in countries}
    alias |= {row["iso3"].casefold(): row["country"] for row in countries}
    blocs: dict[str, set[str]] = {}
    for row in _rows("blocs.csv"):
        blocs.setdefault(row["bloc"], set()).add(row["country"])
    places: dict[str, list[tuple[float, float]]] = {}
    for row in [*countries, *_rows("cities.csv")]:
        if row["latitude"] and row["longitude"]:
            places.setdefault(row["country"], []).append((float(row["latitude"]), float(row["longitude"])))
    return World(
        countries=frozenset(row["country"] for row in countries),
        alias=alias,
        blocs={bloc: frozenset(members) for bloc, members in blocs.items()},
        places={country: np.array(points) for country, points in places.items()},
    )


def _rows(name: str) -> list[dict[str, str]]:
    with (dataset("world") / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
