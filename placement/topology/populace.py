"""Where the people behind a country or network live, for mean distances between them."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from placement.datasets import dataset
from placement.topology.aggregate import Populace
from placement.topology.endpoints import Endpoints
from placement.topology.pairs import Float

MOST_CITIES = 15  # of a country, the largest: more move no mean distance by one per cent


def populaces(names: Sequence[str], ends: Endpoints, regions: pd.DataFrame, sites: pd.DataFrame) -> list[Populace]:
    """The populace behind each name: a country's largest cities, else the regions and sites that the name maps to.

    Every name must map somewhere. Whatever part of a country a scenario holds, the country's figures are for all of it.
    """
    cities = populace_of_countries()
    places = pd.concat([_positions(regions, "region"), _positions(sites, "site")], ignore_index=True)
    behind = ends.frame.merge(places, on=["side", "place"])
    mapped = {str(name): group for name, group in behind[behind["endpoint"].isin(names)].groupby("endpoint")}
    countries = set(ends.frame.loc[ends.frame["kind"] == "country", "endpoint"])
    return [cities[name] if name in countries and name in cities else _equal(mapped[name]) for name in names]


def populace_of_countries() -> dict[str, Populace]:
    """By ISO code; people spread over the largest cities in proportion to their population."""
    table = pd.read_csv(dataset("world") / "cities.csv", keep_default_na=False, dtype={"country": object})
    table = table.sort_values(["country", "population", "geoname_id"], ascending=[True, False, True])
    largest = table.groupby("country").head(MOST_CITIES)
    return {
        str(country): _populace(group, group["population"].clip(lower=1).to_numpy(np.float64))
        for country, group in largest.groupby("country")
    }


def _positions(table: pd.DataFrame, side: str) -> pd.DataFrame:
    return table[["latitude", "longitude"]].assign(side=side, place=np.arange(len(table)))


def _equal(group: pd.DataFrame) -> Populace:
    return _populace(group, np.ones(len(group)))


def _populace(group: pd.DataFrame, people: Float) -> Populace:
    latitude, longitude = group["latitude"].to_numpy(np.float64), group["longitude"].to_numpy(np.float64)
    return Populace(latitude, longitude, people / people.sum())
