"""The sets that the figures are stated for; they lie beside the checkout and are never part of it."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations_with_replacement
from pathlib import Path

import numpy as np
import pandas as pd

from bench.inference.matrix import Float, Matrix, placed
from bench.inference.protocol import Amount, partners, shares
from placement.geo import fibre_floor_ms, great_circle_km
from placement.topology.aggregate import LEAST_SAMPLES
from placement.topology.populace import populace_of_countries

FOLDER = Path(__file__).resolve().parents[3] / "shared" / "data" / "rtt"
BIPARTITE = (90, 400)


class MissingSetsError(FileNotFoundError):
    """The folder of the sets is not beside the checkout."""


@dataclass(frozen=True)
class Set:
    """A matrix by seed (most are the same for all), and the amounts known of it that figures are stated for."""

    matrix: Callable[[int], Matrix]
    amounts: tuple[Amount, ...]


def folder() -> Path:
    """Where the sets are.

    Raises:
        MissingSetsError: they are not there.
    """
    if not FOLDER.is_dir():
        raise MissingSetsError(f"the sets are not at {FOLDER}; a matrix of your own goes by --matrix FILE")
    return FOLDER


def planetlab(frame: int) -> Matrix:
    """490 nodes, symmetric, complete, no places; frames 0 and 1 are the snapshots 0 and 9 of 18, months apart."""
    rtt_ms = np.load(folder() / "planetlab490_2snapshots.npz")["rtt_ms"][frame].astype(np.float64)
    return Matrix(f"planetlab {(0, 9)[frame]}", rtt_ms, square=True)


def bipartite(seed: int) -> Matrix:
    """90 of PlanetLab's nodes, drawn by the seed, against its 400 others: regions and sites."""
    order = np.random.default_rng([seed, 90]).permutation(490)
    rows, columns = order[: BIPARTITE[0]], order[BIPARTITE[0] :]
    return Matrix("bipartite", planetlab(0).rtt_ms[np.ix_(rows, columns)], square=False)


def ripe() -> Matrix:
    """Mean round trips between countries, symmetric, of ten pings or more; the country called `None` is none.

    A country's own figure is no pair here. Distances are those between inhabitants (the 15 largest cities); no mean
    can be below light over the least distance between any of these, and that is the floor. Six countries have no city
    in the table: nothing is said of their distances.
    """
    path = folder() / "ripe_country2025" / "country_rtt_stat.csv.gz"
    table = pd.read_csv(path, keep_default_na=False)
    table = table[(table["cty1"] != "None") & (table["cty2"] != "None") & (table["rtt_cnt"] >= LEAST_SAMPLES)]
    names = sorted({*table["cty1"], *table["cty2"]})
    index = pd.Index(names)
    a, b = index.get_indexer(pd.Index(table["cty1"])), index.get_indexer(pd.Index(table["cty2"]))
    rtt_ms = np.full((len(names), len(names)), np.nan)
    rtt_ms[a, b] = rtt_ms[b, a] = table["rtt_avg"].to_numpy(np.float64)
    mean_km, least_km = _between_countries(names)
    return Matrix("ripe", rtt_ms, square=True, km=mean_km, floor_ms=np.nan_to_num(fibre_floor_ms(least_km)))


def _between_countries(names: list[str]) -> tuple[Float, Float]:
    """Mean and least distance between the cities of each two countries; NaN where the table has none."""
    cities = populace_of_countries()
    mean_km, least_km = np.full((2, len(names), len(names)), np.nan)
    for i, j in combinations_with_replacement([i for i, name in enumerate(names) if name in cities], 2):
        one, other = cities[names[i]], cities[names[j]]
        km = great_circle_km(one.latitude[:, None], one.longitude[:, None], other.latitude, other.longitude)
        mean_km[i, j] = mean_km[j, i] = one.share @ km @ other.share
        least_km[i, j] = least_km[j, i] = km.min()
    return mean_km, least_km


def intercloud() -> Matrix:
    """45 regions of two clouds; the median of runs each way, which differ; places are the regions' towns."""
    runs = pd.read_csv(folder() / "intercloud2022" / "results.csv", keep_default_na=False)
    source, target = runs["from_cloud"] + " " + runs["from_region"], runs["to_cloud"] + " " + runs["to_region"]
    runs = runs.assign(source=source, target=target, rtt_ms=runs["avgrtt"].astype(float))
    median = runs[source != target].groupby(["source", "target"])["rtt_ms"].median()
    place = pd.read_csv(folder() / "intercloud2022" / "locations.csv", keep_default_na=False)
    place = place.assign(name=place["cloud"] + " " + place["region"]).set_index("name")
    names = pd.Index(sorted({*source, *target}))
    rtt_ms = np.full((len(names), len(names)), np.nan)
    ends = [names.get_indexer(median.index.get_level_values(level)) for level in (0, 1)]
    rtt_ms[ends[0], ends[1]] = median.to_numpy(np.float64)
    at = place.loc[names, ["latitude", "longitude"]].to_numpy(np.float64)
    return placed("intercloud", rtt_ms, True, at, at)


SETS: dict[str, Set] = {
    "planetlab": Set(lambda _: planetlab(0), partners(8, 16, 32, 64)),
    "snapshot9": Set(lambda _: planetlab(1), partners(8, 16, 32, 64)),
    "bipartite": Set(bipartite, partners(4, 8, 16, 32)),
    "ripe": Set(lambda _: ripe(), shares(0.1, 0.3, 0.8)),
    "intercloud": Set(lambda _: intercloud(), partners(4, 8, 16)),
}
