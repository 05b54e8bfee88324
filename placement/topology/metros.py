"""Metros: sites of one town, and the regions there.

The table `domains` says which sites are one metro (rows of kind `metro`). A site that it puts into none joins others of
its country within METRO_KM: in the order of their names each site joins the nearest that was given a metro of its own
before, else it is given one. (A chain of near sites is no metro: only the distance to the first one counts.) A region
belongs to the metro of its nearest site, if that is within METRO_KM.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from placement.geo import EARTH_RADIUS_KM, great_circle_km
from placement.topology.pairs import Float

METRO_KM = 50.0
KIND = "metro"  # of domains


@dataclass(frozen=True)
class Metros:
    """`frame` has one row per metro, sorted: metro, source ("domains" or "distance"), latitude, longitude (the middle
    of its sites), country ("" where they stand in several). `members` has one row per place in one: metro, side
    ("region" or "site"), place (index into the sorted regions or sites); sorted."""

    frame: pd.DataFrame
    members: pd.DataFrame


def metros(regions: pd.DataFrame, sites: pd.DataFrame, domains: pd.DataFrame) -> Metros:
    """The metros of a scenario; regions and sites are sorted by name."""
    listed = _listed(sites, domains)
    grouped = pd.concat([listed, _by_distance(sites, np.setdiff1d(np.arange(len(sites)), listed["place"]))])
    members = pd.concat([grouped.assign(side="site"), _regions(regions, sites, grouped)], ignore_index=True)
    order = ["metro", "side", "place"]
    members = members[order].drop_duplicates().sort_values(order, ignore_index=True)
    return Metros(_frame(grouped, sites), members)


def _listed(sites: pd.DataFrame, domains: pd.DataFrame) -> pd.DataFrame:
    """Sites in the metros of the table; rows whose site does not exist are left out, `check` names them."""
    rows = domains[domains["kind"] == KIND] if "kind" in domains else domains.iloc[:0]
    place = pd.Index(sites["site"]).get_indexer(pd.Index(rows["site"]))
    found = pd.DataFrame({"metro": rows["domain"].to_numpy(object), "place": place, "source": "domains"})
    return found.iloc[np.flatnonzero(place >= 0)]


def _by_distance(sites: pd.DataFrame, alone: NDArray[np.int64]) -> pd.DataFrame:
    names, country = sites["site"].to_numpy(object), sites["country"].to_numpy(object)
    latitude, longitude = sites["latitude"].to_numpy(np.float64), sites["longitude"].to_numpy(np.float64)
    points = _on_sphere(sites)
    # Straight through the earth, and a little more: the exact distance decides.
    around: Iterable[list[int]] = cKDTree(points).query_ball_point(  # type: ignore[assignment]  # of many points: many
        points[alone], 1.001 * METRO_KM / EARTH_RADIUS_KM, return_sorted=True
    )
    began: set[int] = set()
    metro = []
    for site, near in zip(alone.tolist(), around, strict=True):
        first = [head for head in near if head in began and country[head] == country[site]]
        km = great_circle_km(latitude[site], longitude[site], latitude[first], longitude[first])
        if km.min(initial=np.inf) > METRO_KM:
            began.add(site)
            metro.append(names[site])
        else:
            metro.append(names[first[int(km.argmin())]])
    return pd.DataFrame({"metro": [f"around-{name}" for name in metro], "place": alone, "source": "distance"})


def _regions(regions: pd.DataFrame, sites: pd.DataFrame, grouped: pd.DataFrame) -> pd.DataFrame:
    """The regions in the metros of their nearest sites."""
    if not len(sites) or not len(regions):
        return pd.DataFrame({"metro": [], "side": [], "place": []})
    _, nearest = cKDTree(_on_sphere(sites)).query(_on_sphere(regions))
    there = sites.iloc[nearest]
    km = great_circle_km(*(t[n].to_numpy(np.float64) for t in (regions, there) for n in ("latitude", "longitude")))
    near = pd.DataFrame({"region": np.arange(len(regions)), "place": nearest})[km <= METRO_KM]
    found = near.merge(grouped[["metro", "place"]], on="place")
    return found.drop(columns="place").rename(columns={"region": "place"}).assign(side="region")


def _frame(grouped: pd.DataFrame, sites: pd.DataFrame) -> pd.DataFrame:
    there = sites.iloc[grouped["place"].to_numpy(np.int64)]
    rows = grouped.assign(country=there["country"].to_numpy(object))
    rows[["x", "y", "z"]] = _on_sphere(there)
    groups = rows.groupby("metro", sort=True)
    middle = groups[["x", "y", "z"]].mean().to_numpy()
    one = groups["country"].nunique().to_numpy() == 1
    return pd.DataFrame(
        {
            "metro": list(groups.groups),
            "source": groups["source"].first().to_numpy(object),
            "latitude": np.degrees(np.arctan2(middle[:, 2], np.hypot(middle[:, 0], middle[:, 1]))),
            "longitude": np.degrees(np.arctan2(middle[:, 1], middle[:, 0])),
            "country": np.where(one, groups["country"].first().to_numpy(object), ""),
        }
    )


def _on_sphere(table: pd.DataFrame) -> Float:
    """N × 3 points on the unit sphere."""
    latitude, longitude = (np.radians(table[name].to_numpy(np.float64)) for name in ("latitude", "longitude"))
    near_axis = np.cos(latitude)
    return np.column_stack([near_axis * np.cos(longitude), near_axis * np.sin(longitude), np.sin(latitude)])
