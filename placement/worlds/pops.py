"""Cities with PoPs: the lists of many providers brought together by place."""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from placement.geo import great_circle_km
from placement.worlds import world
from placement.worlds.reading import MissingReferenceError, numbers, read_text, rows

METRO_KM = 50.0  # two airports of one country nearer than this serve one metro: LHR and LCY, NRT and HND are not


@dataclass(frozen=True)
class EdgeList:
    """How one provider's list of edge cities is laid out, counted from the right: names hold unquoted commas."""

    file: str
    provider: str
    latitude_from_right: int


EDGE_LISTS = (
    EdgeList("cloudfront/aws-edge-locations.csv", "cloudfront", 3),
    EdgeList("azure_edge/azure-edge-locations_fixed.csv", "azurecdn", 3),
    EdgeList("fastly/fastly-edge-locations.csv", "fastly", 2),
    EdgeList("gcp_edge/googlecloud-edge-locations.csv", "googlecdn", 3),
)
COUNTRY_FROM_RIGHT = 4


def sightings(reference: Path) -> pd.DataFrame:
    """One row per (provider, code): provider, code (IATA mostly), city, country, latitude, longitude, rank of the list.

    An airport's own coordinates are taken where the code is an airport's, else those of the list; rows with neither
    are left out.
    """
    folder = reference / "sites"
    edges = [row for edge in EDGE_LISTS for row in _edge_list(folder, edge)]
    found = [*_cloudflare(folder), *edges, *_adaptive(folder)]
    frame = pd.DataFrame(found, columns=["provider", "code", "city", "country", "latitude", "longitude", "rank"])
    airports = read_text(folder / "airports" / "airports_iata.csv.gz").set_index("iata")
    for axis, column in (("latitude", "lat"), ("longitude", "lon")):
        known = frame["code"].map(numbers(airports[column]))
        frame[axis] = known.fillna(numbers(frame[axis]))
    frame = frame[frame["latitude"].notna() & (frame["country"].str.len() == 2)]
    frame["country"] = _agreed_country(frame, world.read_cities(reference))
    return frame.drop_duplicates(["provider", "code"]).reset_index(drop=True)


def _agreed_country(seen: pd.DataFrame, cities: pd.DataFrame) -> pd.Series:
    """One country per code where lists differ (JNB in SA, San Juan in US): the nearest town's if any list says so,
    else what most lists say."""
    votes = seen.groupby(["code", "country"]).agg(votes=("provider", "size"), latitude=("latitude", "first"),
                                                  longitude=("longitude", "first")).reset_index()  # fmt: skip
    votes["nearest"] = False
    for i in votes.index[votes["code"].duplicated(keep=False)]:
        km = great_circle_km(votes["latitude"][i], votes["longitude"][i], cities["latitude"], cities["longitude"])
        votes.loc[i, "nearest"] = cities["country"].iloc[int(km.argmin())] == votes["country"][i]
    votes = votes.sort_values(["nearest", "votes", "country"], ascending=[False, False, True])
    return seen["code"].map(votes.drop_duplicates("code").set_index("code")["country"])


Row = tuple[str, str, str, str, str, str, int]


def _cloudflare(folder: Path) -> Iterator[Row]:
    raw = read_text(folder / "cloudflare" / "DC-Colos.csv")
    for code, city, country, lat, lon in rows(raw, "colo", "city", "cca2", "lat", "lon"):
        yield "cloudflare", code, city, country, lat, lon, 0


def _edge_list(folder: Path, edge: EdgeList) -> Iterator[Row]:
    path = folder / edge.file
    if not path.is_file():
        raise MissingReferenceError(f"{path} is missing")
    with path.open(encoding="utf-8-sig", newline="") as file:
        lines = csv.reader(file)
        next(lines)
        for cells in lines:
            place = cells[-edge.latitude_from_right :]
            city = cells[1].split(",")[0]
            yield edge.provider, cells[0], city, cells[-COUNTRY_FROM_RIGHT].strip(), place[0], place[1], 1


def _adaptive(folder: Path) -> Iterator[Row]:
    raw = read_text(folder / "pops_adaptive" / "pops.csv")
    columns = ("provider", "iata", "city", "country", "lat", "lon")
    for provider, code, city, country, lat, lon in rows(raw, *columns):
        yield provider, code, city, country, lat, lon, 2


def metros(reference: Path) -> pd.DataFrame:
    """PoP metros: site (lower-case code), city, country, latitude, longitude, providers (how many), by code.

    Codes of one country within METRO_KM of a code that more providers use join it; the busiest code names the metro and
    gives its place.
    """
    seen = sightings(reference)
    codes = seen.groupby(["country", "code"]).agg(providers=("provider", "nunique")).reset_index()
    place = seen.sort_values(["rank", "provider"]).drop_duplicates(["country", "code"])
    codes = codes.merge(place[["country", "code", "city", "latitude", "longitude"]], on=["country", "code"])
    codes = codes.sort_values(["providers", "code"], ascending=[False, True]).reset_index(drop=True)
    head = _heads(codes)
    provider_sets: dict[int, set[str]] = {}
    of_code = {code: metro for (code,), metro in zip(rows(codes, "code"), head, strict=True)}
    for provider, code in rows(seen, "provider", "code"):
        provider_sets.setdefault(of_code[code], set()).add(provider)
    frame = codes.loc[sorted(provider_sets)].copy()
    frame["providers"] = [len(provider_sets[i]) for i in frame.index]
    frame["site"] = frame["code"].str.lower()
    order = ["site", "city", "country", "latitude", "longitude", "providers"]
    return frame[order].round({"latitude": 4, "longitude": 4}).sort_values("site").reset_index(drop=True)


def _heads(codes: pd.DataFrame) -> list[int]:
    """For each code (busiest first) the row of the metro that it belongs to."""
    head: list[int] = []
    lat, lon = codes["latitude"].to_numpy(np.float64), codes["longitude"].to_numpy(np.float64)
    country = codes["country"].to_numpy()
    leaders: list[int] = []
    for i in range(len(codes)):
        mine = [j for j in leaders if country[j] == country[i]]
        near = [(float(great_circle_km(lat[i], lon[i], lat[j], lon[j])), j) for j in mine]
        distance, nearest = min(near, default=(np.inf, i))
        head.append(nearest if distance <= METRO_KM else i)
        if head[-1] == i:
            leaders.append(i)
    return head
