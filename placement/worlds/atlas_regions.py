"""User regions of atlas-2025: countries by Internet users, large ones split around their real cities."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from placement.geo import EARTH_RADIUS_KM
from placement.worlds import world
from placement.worlds.reading import rows
from placement.worlds.slugs import slug

LEAST_USERS = 150_000
LEAST_ASSUMED_POPULATION = 500_000  # a country without a figure is worth an assumption from here on
SPREAD_KM = 280.0  # a region's mean distance from its centre, weighted by population, where its users allow a split
LEAST_USERS_PER_PART = 2_500_000
MOST_PARTS = 13
SWEEPS = 100


def users_by_country(reference: Path) -> pd.DataFrame:
    """country, name, users, assumed (bool): Internet users, and where no figure exists population × continent's share.

    Countries below LEAST_USERS are left out; so are those without a figure and below LEAST_ASSUMED_POPULATION.
    """
    facts = world.countries(reference)
    facts["share"] = facts["internet_users"].astype("float64") / facts["population"].where(facts["population"] > 0)
    known = facts[facts["share"].notna()]
    sums = known.groupby("continent")[["internet_users", "population"]].sum().astype("float64")
    share = facts["continent"].map(sums["internet_users"] / sums["population"])
    facts["assumed"] = facts["share"].isna() & (facts["population"] >= LEAST_ASSUMED_POPULATION)
    users = facts["internet_users"].astype("float64")
    facts["users"] = users.mask(facts["assumed"], facts["population"] * share).round()
    facts = facts[facts["users"] >= LEAST_USERS]
    facts = facts.assign(users=facts["users"].astype("int64"))
    return facts[["country", "name", "users", "assumed"]].reset_index(drop=True)


def unit_vectors(latitude: pd.Series, longitude: pd.Series) -> NDArray[np.float64]:
    """N × 3 directions on the sphere."""
    lat, lon = np.radians(latitude.to_numpy(np.float64)), np.radians(longitude.to_numpy(np.float64))
    return np.column_stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)])


def split(points: NDArray[np.float64], weight: NDArray[np.float64], parts: int) -> NDArray[np.int64]:
    """Part of every point: weighted k-means on the sphere (Lloyd 1982) from deterministic seeds.

    The first seed is the heaviest point; each next is the point with the greatest weight × squared distance to the
    seeds so far (the greedy form of Arthur and Vassilvitskii 2007). Parts left without points are dropped.
    """
    seeds = [int(np.argmax(weight))]
    nearest = _squared(points, points[seeds]).min(axis=1)
    while len(seeds) < min(parts, len(points)):
        seeds.append(int(np.argmax(weight * nearest)))
        nearest = np.minimum(nearest, _squared(points, points[seeds[-1:]])[:, 0])
    centres = points[seeds]
    part = _squared(points, centres).argmin(axis=1)
    for _ in range(SWEEPS):
        centres = np.vstack([_mean(points[part == k], weight[part == k]) for k in np.unique(part)])
        moved = _squared(points, centres).argmin(axis=1)
        if np.array_equal(moved, part):
            break
        part = moved
    return np.asarray(part, np.int64)


def _squared(points: NDArray[np.float64], centres: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(2.0 - 2.0 * np.clip(points @ centres.T, -1.0, 1.0), np.float64)


def _mean(points: NDArray[np.float64], weight: NDArray[np.float64]) -> NDArray[np.float64]:
    total = weight @ points
    return np.asarray(total / np.linalg.norm(total), np.float64)


def spread_km(points: NDArray[np.float64], weight: NDArray[np.float64]) -> float:
    """Mean great-circle distance from the weighted centre, km."""
    angle = np.arccos(np.clip(points @ _mean(points, weight), -1.0, 1.0))
    return float(weight @ angle / weight.sum() * EARTH_RADIUS_KM)


def parts_of(points: NDArray[np.float64], weight: NDArray[np.float64], users: int) -> NDArray[np.int64]:
    """The fewest parts whose mean spread is within SPREAD_KM, as far as users and MOST_PARTS allow."""
    most = max(1, min(MOST_PARTS, users // LEAST_USERS_PER_PART))
    part = np.zeros(len(points), np.int64)
    for count in range(1, most + 1):
        part = split(points, weight, count)
        shares = [(weight[part == k].sum(), spread_km(points[part == k], weight[part == k])) for k in np.unique(part)]
        if sum(w * s for w, s in shares) / weight.sum() <= SPREAD_KM:
            break
    return part


def regions(reference: Path) -> pd.DataFrame:
    """Rows of regions.csv: region, name, country, latitude, longitude, users; sorted by region."""
    cities = world.read_cities(reference)
    cities = cities[cities["population"] > 0].sort_values("geoname_id")
    by_country = dict(list(cities.groupby("country")))
    found = [
        row
        for country, name, users in rows(users_by_country(reference), "country", "name", "users")
        if country in by_country
        for row in _country_rows(country, name, users, by_country[country])
    ]
    frame = pd.DataFrame(found, columns=["region", "name", "country", "latitude", "longitude", "users"])
    return frame.sort_values("region").reset_index(drop=True)


def _country_rows(
    country: str, name: str, users: int, cities: pd.DataFrame
) -> Iterator[tuple[str, str, str, float, float, int]]:
    points, weight = unit_vectors(cities["latitude"], cities["longitude"]), cities["population"].to_numpy(np.float64)
    part = parts_of(points, weight, users)
    numbers = np.unique(part)
    for k in numbers:
        mine = cities[part == k]
        largest = mine.sort_values(["population", "geoname_id"], ascending=[False, True]).iloc[0]
        share = float(mine["population"].sum()) / float(cities["population"].sum())
        latitude, longitude = world.centre(mine["latitude"], mine["longitude"], mine["population"])
        alone = len(numbers) == 1
        region = country.lower() if alone else f"{country.lower()}-{slug(str(largest['city']))}"
        label = name if alone else f"{largest['city']}, {name}"
        yield region, label, country, latitude, longitude, round(users * share)
