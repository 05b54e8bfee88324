"""A scenario on a backbone that others drew: a site and a region at every place of a graph, and its links.

No such graph says who lives where, what a round trip takes or what a site holds, so most figures are assumed; each row
says so in its note, and `SOURCE.md` says by which rule. Nothing is measured: every pair is inferred over the links.
"""

import hashlib
import itertools
import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.spatial import cKDTree

from placement.datasets import dataset
from placement.geo import fibre_floor_ms, great_circle_km
from placement.scenario.dictionary import tables
from placement.scenario.template import DOCUMENT
from placement.topology.aggregate import LAST_MILE_MS, WORLD_INFLATION
from placement.topology.foreign import Leg, Network, Place
from placement.worlds.reading import read_text, rounded, write_csv
from placement.worlds.slugs import slug

LEAST_RTT_MS = 0.1  # two nodes in one building
REQUESTS_PER_USER_S = 1.2e-5  # as in the scenario to begin with: 40 a second from 3.4 million people
SITE = {"power_kw": 60, "rack_units": 84, "uplink_mbps": 40_000, "egress_usd_per_gb": 0.03}
MODEL, SERVICE, PROFILE = "llama-3.1-8b", "assistant", "chat"

_SOURCE = """# {name}

Made by `nearserve init` from the graph file `{file}` (SHA-256 {digest}).
{places} places, {legs} links, {traffic} demands. {notes}

What the file does not say is assumed:

- A site and a region of users stand at every place. Its country is that of the nearest city of `datasets/world`, and
  its users are that city's people, shared between the places nearest to it.
- A link's round trip is {inflation} × light in fibre over its length (what public routes take, see docs/topology.md),
  at least {least} ms. Its length is the distance as the crow flies, or what the file gives if that is more.
- From a region to the site at its place it is {last_mile} ms, a last mile.
- Bandwidth stands where the file gives it{units}. Capacities without a unit are used with `--mbps-per-unit` only.
- {rate} requests a second a user. {shares}
- Every site: {site}.

Measure, and put the records into `measurements/`: what is measured replaces what is assumed.
"""


def generate(file: Path, network: Network, out: Path, mbps_per_unit: float | None = None) -> tuple[str, ...]:
    """Write the scenario folder `out`; the same arguments give the same bytes. Returns notes of what was left out.

    Raises:
        FileExistsError: `out` is there and not empty.
    """
    if out.exists() and any(out.iterdir()):
        raise FileExistsError(f"{out} is not empty")
    names = site_names(network.places)
    near = _nearest_cities(network.places)
    at = pd.DataFrame(
        {
            "site": [names[place.key] for place in network.places],
            "name": [place.label for place in network.places],
            "country": near["country"],
            "latitude": [place.latitude for place in network.places],
            "longitude": [place.longitude for place in network.places],
        }
    )
    users = np.maximum(1, (near["population"] // near["places"]).to_numpy(np.int64))
    regions = at.rename(columns={"site": "region"}).assign(
        region=region_of(at["site"]), users=users, note="assumed: the people of " + near["city"]
    )
    links, left_out = _links(network, names, mbps_per_unit)
    write_csv(at.assign(**SITE, note="assumed: power, room, uplink, egress").sort_values("site"), out / "sites.csv")
    write_csv(regions.sort_values("region"), out / "regions.csv")
    write_csv(links, out / "links.csv")
    write_csv(_services(), out / "services.csv")
    write_csv(_demand(network, at["site"], users), out / "demand.csv")
    (out / "measurements").mkdir(exist_ok=True)
    document = DOCUMENT.replace('name = "my-first"', f"name = {json.dumps(slug(network.name) or 'backbone')}")
    (out / "scenario.toml").write_text(document, encoding="utf-8", newline="\n")
    notes = (*network.notes, *left_out)
    (out / "SOURCE.md").write_text(_source(file, network, notes, mbps_per_unit), encoding="utf-8", newline="\n")
    return notes


def site_names(places: tuple[Place, ...]) -> dict[str, str]:
    """A name for every place, by its key: its label, and where several have the same one its key as well."""
    plain = {place.key: slug(place.label) or slug(place.key) or "place" for place in places}
    count = Counter(plain.values())
    names = {key: name for key, name in plain.items() if count[name] == 1}
    taken = set(names.values())
    for key, name in plain.items():
        if count[name] > 1:
            wanted = f"{name}-{slug(key) or 'x'}"
            candidates = itertools.chain([wanted], (f"{wanted}-{number}" for number in itertools.count(2)))
            names[key] = next(free for free in candidates if free not in taken)
            taken.add(names[key])
    return names


def region_of(site: "pd.Series[str]") -> "pd.Series[str]":
    """The name of the region at a site."""
    return site + "-users"


def _nearest_cities(places: tuple[Place, ...]) -> pd.DataFrame:
    """By place: city, country and population of the nearest one, and how many places have it for theirs."""
    cities = read_text(dataset("world") / "cities.csv").astype({"population": np.int64})
    degrees = cities[["latitude", "longitude"]].astype(float).to_numpy()
    here = np.array([(place.latitude, place.longitude) for place in places], np.float64)
    _, nearest = cKDTree(_on_sphere(degrees)).query(_on_sphere(here))
    found = cities.iloc[nearest].reset_index(drop=True)
    return found.assign(places=found.groupby("geoname_id")["city"].transform("size"))


def _on_sphere(
    degrees: "np.ndarray[tuple[int, ...], np.dtype[np.float64]]",
) -> "np.ndarray[tuple[int, ...], np.dtype[np.float64]]":
    lat, lon = np.radians(degrees).T
    return np.column_stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)])


def _links(network: Network, names: Mapping[str, str], mbps_per_unit: float | None) -> tuple[pd.DataFrame, list[str]]:
    place = {place.key: place for place in network.places}
    rows = []
    for leg in network.legs:
        one, other = place[leg.source], place[leg.target]
        straight_km = float(great_circle_km(one.latitude, one.longitude, other.latitude, other.longitude))
        km = max(straight_km, leg.km or 0.0)
        rtt_ms = max(LEAST_RTT_MS, WORLD_INFLATION * float(fibre_floor_ms(km)))
        note = f"assumed: {WORLD_INFLATION} x light in fibre over {km:.0f} km"
        rows.append((*sorted((names[leg.source], names[leg.target])), rtt_ms, _mbps(leg, mbps_per_unit), note))
    own = [(f"{site}-users", site, LAST_MILE_MS, None, "assumed: a last mile") for site in names.values()]
    links = pd.DataFrame(sorted(rows) + sorted(own), columns=["source", "target", "rtt_ms", "mbps", "note"])
    links["rtt_ms"], links["mbps"] = rounded(links["rtt_ms"]), rounded(links["mbps"].astype(float))
    rate = next(column for column in tables()["links"].columns if column.name == "mbps")
    odd = (links["mbps"] < rate.least) | (links["mbps"] > rate.most)
    links.loc[odd, "mbps"] = np.nan
    unit = f"{int(odd.sum())} link rates outside {rate.least:g} to {rate.most:g} Mbit/s left out"
    unitless = sum(leg.units is not None for leg in network.legs)
    notes = [unit] if odd.any() else []
    if unitless and mbps_per_unit is None:
        notes.append(f"{unitless} links have a capacity without a unit, left out: give --mbps-per-unit to use it")
    return links, notes


def _mbps(leg: Leg, mbps_per_unit: float | None) -> float | None:
    if leg.mbps is None and leg.units is not None and mbps_per_unit is not None:
        return leg.units * mbps_per_unit
    return leg.mbps


def _services() -> pd.DataFrame:
    row = {"service": SERVICE, "profile": PROFILE, "latency_budget_ms": 500, "kbyte_in": 5, "kbyte_out": 40}
    return pd.DataFrame([row])


def _demand(
    network: Network, site: "pd.Series[str]", users: "np.ndarray[tuple[int, ...], np.dtype[np.int64]]"
) -> pd.DataFrame:
    """Requests by region: all users' together, shared by the traffic that leaves each place, else by users."""
    leaving = dict.fromkeys((place.key for place in network.places), 0.0)
    for (source, _), value in network.traffic.items():
        leaving[source] += value
    weight = np.array(list(leaving.values())) if network.traffic else users.astype(np.float64)
    rate = rounded(weight / weight.sum() * users.sum() * REQUESTS_PER_USER_S)
    note = "assumed: users" if not network.traffic else "assumed: users in all, shared as the file's traffic"
    table = pd.DataFrame({"region": region_of(site), "model": MODEL, "service": SERVICE, "requests_per_s": rate})
    return table.assign(note=note)[rate > 0].sort_values("region")


def _source(file: Path, network: Network, notes: tuple[str, ...], mbps_per_unit: float | None) -> str:
    return _SOURCE.format(
        name=slug(network.name) or "backbone",
        file=file.name,
        digest=hashlib.sha256(file.read_bytes()).hexdigest(),
        places=len(network.places),
        legs=len(network.legs),
        traffic=len(network.traffic),
        notes=" ".join(f"{note}." for note in notes),
        inflation=WORLD_INFLATION,
        least=LEAST_RTT_MS,
        last_mile=LAST_MILE_MS,
        units="" if mbps_per_unit is None else f", and {mbps_per_unit:g} Mbit/s for every unit without a name",
        rate=REQUESTS_PER_USER_S,
        shares="Of their sum each region has the share of the traffic that leaves its place."
        if network.traffic
        else "",
        site=", ".join(f"{name} {value}" for name, value in SITE.items()),
    )
