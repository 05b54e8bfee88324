"""Where the edge scenario's users and PoPs are, and the network between them: real cities, drawn figures."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from placement.datasets import dataset
from placement.geo import great_circle_km
from placement.worlds.slugs import slug

Float = NDArray[np.float64]
Int = NDArray[np.int64]

GPU_SLOTS = (4, 8, 16, 32)  # classes of sites, by the GPUs that their power is for
GPU_SLOT_SHARES = (0.35, 0.35, 0.2, 0.1)
KW_PER_SLOT = 0.8
UPLINK_MBPS_PER_SLOT = 26.0  # left for AI traffic; services are drawn against it
EXISTING_SHARE = 0.3  # sites that are open already and cost little to use
OPEN_USD_MONTH = {True: 230.0, False: 1275.0}  # 0.3 and 1.8 GPU-months
COLOCATION_USD_PER_KW = 200.0  # listed prices run from 184 to 217
ELECTRICITY_USD_PER_KWH = 0.13
EGRESS_USD_PER_GB = 0.008
ONLINE_SHARE_ASSUMED = 0.7  # where no figure is published
INFLATION = 1.5  # of a path over the light in fibre of its great circle
LAST_MILE_MS = 4.0  # median
JITTER_DEGREES = 0.15  # a site or region stands somewhere around its city's centre


@dataclass(frozen=True)
class Network:
    """R regions × P sites, rounded as they are written. Times are those of a round trip."""

    rtt_min_ms: Float
    rtt_p50_ms: Float
    rtt_p95_ms: Float
    mbps: Float
    lost: Int  # of 100 probes


def read_world(name: str) -> pd.DataFrame:
    """One table of datasets/world, text as text."""
    return pd.read_csv(dataset("world") / f"{name}.csv", keep_default_na=False, na_values={"internet_users": [""]})


def cities(without: Sequence[str]) -> pd.DataFrame:
    """Cities outside the countries `without`, with their Internet users: population × the country's share online."""
    countries = read_world("countries").set_index("country")
    online = (countries["internet_users"] / countries["population"]).clip(0, 1).fillna(ONLINE_SHARE_ASSUMED)
    found = read_world("cities")
    found = found[~found["country"].isin(list(without))]
    found["users"] = found["population"] * found["country"].map(online)
    found["slug"] = [
        f"{country.lower()}-{slug(city) or geoname_id}"
        for country, city, geoname_id in zip(found["country"], found["city"], found["geoname_id"], strict=True)
    ]
    return found[found["users"] > 0].sort_values(["slug", "geoname_id"], ignore_index=True)


def draw_regions(rng: np.random.Generator, towns: pd.DataFrame, count: int) -> pd.DataFrame:
    """`count` cities, drawn by users^0.6; columns of regions.csv and `town`, the row of `towns`."""
    towns_drawn = rng.choice(len(towns), count, replace=False, p=_weights(towns, 0.6))
    places = _placed(rng, towns, np.sort(towns_drawn))
    # Cities of one name in one country are told apart; a number would look like a site's, and so does that of a city
    # such as Seremban 2.
    other = places["slug"] + "-" + towns["geoname_id"].iloc[places["town"]].astype(str).to_numpy()
    plain = (places["number"] == 1) & ~places["slug"].str.contains(r"-\d+$")
    frame = _named(places, "region", places["slug"].where(plain, other))
    users = towns["users"].to_numpy(np.float64)[frame["town"]] * rng.lognormal(0.0, 0.4, count)
    return frame.assign(users=np.maximum(1, np.round(users)).astype(np.int64))


def draw_sites(rng: np.random.Generator, towns: pd.DataFrame, regions: pd.DataFrame, count: int) -> pd.DataFrame:
    """`count` PoPs: up to half of them where the most users are, the others in cities drawn by users^0.7."""
    by_users = regions.sort_values(["users", "region"], ascending=[False, True])["town"].to_numpy(np.int64)
    near = by_users[: count // 2]
    other = rng.choice(len(towns), count - len(near), p=_weights(towns, 0.7))
    places = _placed(rng, towns, np.sort(np.concatenate([near, other])))
    frame = _named(places, "site", places["slug"] + "-" + places["number"].astype(str))
    slots = rng.choice(GPU_SLOTS, count, p=GPU_SLOT_SHARES)
    existing = rng.random(count) < EXISTING_SHARE
    nations = sorted(towns["country"].unique())
    power_price = dict(zip(nations, rng.uniform(0.85, 1.4, len(nations)), strict=True))
    price = frame["country"].map(power_price).to_numpy(np.float64)
    opening = np.where(existing, OPEN_USD_MONTH[True], OPEN_USD_MONTH[False])
    uplink = np.round(slots * UPLINK_MBPS_PER_SLOT * rng.uniform(1, 2, count))
    return frame.assign(
        power_kw=np.round(slots * KW_PER_SLOT * rng.uniform(0.9, 1.1, count), 2),
        rack_units=slots + 2,
        uplink_mbps=uplink,
        downlink_mbps=uplink,
        egress_usd_per_gb=np.round(EGRESS_USD_PER_GB * rng.lognormal(0.0, 0.5, count), 5),
        open_usd_month=np.round(opening * rng.uniform(0.8, 1.2, count), 2),
        usd_per_kw_month=np.round(COLOCATION_USD_PER_KW * rng.uniform(0.95, 1.05, count), 2),
        usd_per_kwh=np.round(ELECTRICITY_USD_PER_KWH * price, 4),
        pue=1.3,
        note=np.where(existing, "existing PoP", "new PoP"),
    )


def draw_network(rng: np.random.Generator, regions: pd.DataFrame, sites: pd.DataFrame) -> Network:
    """Round trips from distance, a noisy detour and the region's last mile; bandwidth falls with the round trip.

    The planned figure, the p95, is inflation · light in fibre + last mile + 0.5 ms, as in published edge instances.
    """
    distance_km = great_circle_km(
        regions["latitude"].to_numpy()[:, None],
        regions["longitude"].to_numpy()[:, None],
        sites["latitude"].to_numpy()[None, :],
        sites["longitude"].to_numpy()[None, :],
    )
    # the clip keeps every minimum above light in fibre
    detour = INFLATION * np.clip(rng.lognormal(0.0, 0.08, distance_km.shape), 0.75, 1.35)
    last_mile_ms = rng.lognormal(np.log(LAST_MILE_MS), 0.5, len(regions))[:, None]
    path_ms = distance_km / 100 * detour
    p95 = path_ms + last_mile_ms + 0.5
    least = 0.9 * path_ms + 0.6 * last_mile_ms + 0.4
    spread = rng.lognormal(np.log(150.0), 0.35, distance_km.shape)
    return Network(
        rtt_min_ms=np.round(least, 2),
        rtt_p50_ms=np.round(least + 0.35 * (p95 - least), 2),
        rtt_p95_ms=np.round(p95, 2),
        mbps=np.round(spread * np.sqrt(20 / (20 + p95)), 1),
        lost=rng.poisson(0.3, distance_km.shape).astype(np.int64),
    )


def _weights(towns: pd.DataFrame, power: float) -> Float:
    weight = towns["users"].to_numpy(np.float64) ** power
    return np.asarray(weight / weight.sum(), np.float64)


def _placed(rng: np.random.Generator, towns: pd.DataFrame, rows: Int) -> pd.DataFrame:
    """Places around the given cities: slug, name, country, coordinates, town, and a number among those of one slug."""
    drawn = towns.iloc[rows].reset_index(drop=True)
    shift = rng.uniform(-JITTER_DEGREES, JITTER_DEGREES, (len(rows), 2))
    return pd.DataFrame(
        {
            "slug": drawn["slug"],
            "number": drawn.groupby("slug").cumcount() + 1,
            "name": drawn["city"],
            "country": drawn["country"],
            "latitude": np.round(np.clip(drawn["latitude"] + shift[:, 0], -89.9, 89.9), 4),
            "longitude": np.round(np.clip(drawn["longitude"] + shift[:, 1], -179.9, 179.9), 4),
            "town": rows,
        }
    )


def _named(places: pd.DataFrame, key: str, names: pd.Series) -> pd.DataFrame:
    """The places with `key` as their first column."""
    frame = places.drop(columns=["slug", "number"])
    frame.insert(0, key, names)
    return frame
