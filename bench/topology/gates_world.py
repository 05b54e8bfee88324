"""Worlds of real cities and made-up times that obey light, and the faults that are planted in them."""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from placement.datasets import dataset
from placement.geo import great_circle_km
from placement.topology.endpoints import Endpoints, endpoints
from placement.topology.gates import Positions

Float = NDArray[np.float64]

METHODS = ("icmp", "tcp", "stamp")
LEAST_STRETCH = 1.03
"""The straightest cables: just above light in glass, over the position of the city."""
HOSTED_KM = 30.0
"""How far ends stand from their city, at most."""
DAY_S = 86_400


@dataclass(frozen=True)
class World:
    """Regions and sites in cities, and a frame of summaries with both directions and three methods of some pairs.

    `rtt_ms` are the true least times, regions × sites.
    """

    regions: pd.DataFrame
    sites: pd.DataFrame
    ends: Endpoints
    frame: pd.DataFrame
    rtt_ms: Float

    def with_frame(self, frame: pd.DataFrame) -> "World":
        """The same world with other measurements."""
        return replace(self, frame=frame.reset_index(drop=True))


def world(seed: int, regions: int = 40, sites: int = 60, known: float = 0.6, cities: int = 600) -> World:
    """A clean one, in the largest cities: every time is at least that of light in glass over the true distance, and
    holds last miles and noise."""
    random = np.random.default_rng(seed)
    table = pd.read_csv(dataset("world") / "cities.csv", keep_default_na=False)
    largest = table.sort_values(["population", "geoname_id"], ascending=[False, True]).head(cities)
    picked = largest.iloc[random.permutation(cities)[: regions + sites]][["latitude", "longitude"]].to_numpy()
    names = [f"r{i:04}" for i in range(regions)], [f"s{i:04}" for i in range(sites)]
    region = pd.DataFrame(
        {
            "region": names[0],
            "country": "ZZ",
            "users": 1.0,
            "latitude": picked[:regions, 0],
            "longitude": picked[:regions, 1],
        }
    )
    site = pd.DataFrame(
        {"site": names[1], "country": "ZZ", "latitude": picked[regions:, 0], "longitude": picked[regions:, 1]}
    )
    real = picked + random.uniform(-1, 1, picked.shape) * HOSTED_KM / np.sqrt(2) / 111.2
    rtt_ms = true_ms(random, real[:regions], real[regions:])
    ends = endpoints(pd.DataFrame(), *names)
    return World(region, site, ends, _measured(random, names, rtt_ms, known), rtt_ms)


def true_ms(random: np.random.Generator, one: Float, other: Float) -> Float:
    """Times between positions (latitude, longitude): last miles, and light in glass times a stretch."""
    km = great_circle_km(one[:, :1], one[:, 1:], other[None, :, 0], other[None, :, 1])
    stretch = np.maximum(LEAST_STRETCH, random.lognormal(np.log(1.65), 0.3, km.shape))
    return np.asarray(random.uniform(0.2, 6.0, (len(one), 1)) + 0.3 + stretch * km / 102.1, np.float64)


def _measured(
    random: np.random.Generator, names: tuple[list[str], list[str]], rtt_ms: Float, known: float
) -> pd.DataFrame:
    """A frame of summaries: of each known pair some of the methods, some from the site's end as well."""
    parts = []
    for number, method in enumerate(METHODS):
        for back in (False, True):
            r, s = np.nonzero(random.random(rtt_ms.shape) < known * (0.4 if back else 1.0) / (1 + 0.5 * number))
            near, far = np.array(names[0], object)[r], np.array(names[1], object)[s]
            base = rtt_ms[r, s] * (1 + random.exponential(0.01, len(r))) + random.exponential(0.05, len(r))
            parts.append(
                pd.DataFrame(
                    {
                        "source": far if back else near, "target": near if back else far, "method": method,
                        "rtt_base_ms": base, "rtt_p50_ms": base * random.uniform(1.01, 1.3, len(r)),
                    }
                )
            )  # fmt: skip
    frame = pd.concat(parts, ignore_index=True)
    frame["rtt_p95_ms"] = frame["rtt_p50_ms"] * random.uniform(1.05, 2.0, len(frame))
    frame["rtt_avg_ms"] = np.nan
    frame["family"] = np.nan
    frame["records"] = 10
    frame["observed_at_s"] = 1_770_000_000.0 + random.uniform(-2, 0, len(frame)) * DAY_S
    return frame.sort_values(["source", "target", "method"], ignore_index=True)


def scaled(clean: World, rows: NDArray[np.bool_], factor: float) -> World:
    """Some rows' times times a factor."""
    frame = clean.frame.copy()
    times = ["rtt_base_ms", "rtt_p50_ms", "rtt_p95_ms"]
    frame.loc[rows, times] = frame.loc[rows, times] * factor
    return clean.with_frame(frame)


def moved(clean: World, random: np.random.Generator, site: int, latitude: float, longitude: float) -> World:
    """A world in which one site really stands elsewhere than its table says."""
    here = clean.regions[["latitude", "longitude"]].to_numpy(np.float64)
    times = true_ms(random, here, np.array([[latitude, longitude]]))[:, 0]
    return _of_site(clean, site, times)


def anycast(clean: World, random: np.random.Generator, site: int, instances: Float) -> World:
    """A world in which one site answers from wherever of some places is nearest."""
    here = clean.regions[["latitude", "longitude"]].to_numpy(np.float64)
    return _of_site(clean, site, true_ms(random, here, instances).min(axis=1))


def _of_site(clean: World, site: int, times: Float) -> World:
    """The world with times of its own from every region to one site."""
    name = str(clean.sites["site"].iloc[site])
    number = {str(region): i for i, region in enumerate(clean.regions["region"])}
    frame = clean.frame.copy()
    for end, other in (("source", "target"), ("target", "source")):
        rows = (frame[end] == name).to_numpy()
        own = times[frame.loc[rows, other].map(number).to_numpy(np.int64)]
        for column, share in (("rtt_base_ms", 1.01), ("rtt_p50_ms", 1.1), ("rtt_p95_ms", 1.5)):
            frame.loc[rows, column] = own * share
    return clean.with_frame(frame)


def records(world: World, random: np.random.Generator, pairs: int, days: int) -> pa.Table:
    """Native records of the first pairs of a world, one a day with ten samples."""
    region, site = (axis.ravel()[:pairs] for axis in np.indices(world.rtt_ms.shape))
    base = np.repeat(world.rtt_ms.ravel()[:pairs], days)
    samples = base[:, None] * (1 + random.exponential(0.05, (len(base), 10)))
    day = np.tile(np.arange(days), pairs)
    columns = {
        "observed_at": pa.array((20_000 + day) * DAY_S * 10**9 + 10**9, pa.timestamp("ns", tz="UTC")),
        "source": pa.array(world.regions["region"].to_numpy()[np.repeat(region, days)]),
        "target": pa.array(world.sites["site"].to_numpy()[np.repeat(site, days)]),
        "method": pa.array(["icmp"] * len(base)),
        "sent": pa.array(np.full(len(base), 10)),
        "received": pa.array(np.full(len(base), 10)),
        "rtt_ms": pa.ListArray.from_arrays(np.arange(0, samples.size + 1, 10), samples.ravel()),
    }
    return pa.table(columns)


def no_positions() -> Positions:
    """Nobody knows where anything stands."""
    return Positions(pd.Index([], dtype=object), np.empty(0), np.empty(0))


def days(base_ms: Float, samples: int = 20, distinct: Float | None = None) -> pd.DataFrame:
    """The daily frame of S series from their S × D minima; NaN on days that were not measured."""
    row, day = np.nonzero(~np.isnan(base_ms))
    base = base_ms[row, day]
    return pd.DataFrame(
        {
            "source": [f"r{i:06}" for i in row], "target": "s0", "method": "icmp", "family": 4,
            "day": (20_000 + day).astype(np.int32), "records": 10, "sent": samples, "received": samples,
            "samples": samples, "distinct": samples if distinct is None else distinct[row, day],
            "rtt_base_ms": base, "rtt_p50_ms": base * 1.1, "rtt_p95_ms": base * 1.4, "rtt_avg_ms": base * 1.15,
            "clock_bad": 0,
        }
    )  # fmt: skip


def calm_days(random: np.random.Generator, series: int, length: int, spread: float = 0.01) -> Float:
    """Daily minima of quiet paths, S × D: a level of their own, a week's rhythm, and noise that is never below it."""
    level = random.lognormal(np.log(40.0), 0.8, (series, 1))
    week = 1 + 0.5 * spread * np.sin(2 * np.pi * (np.arange(length)[None, :] + random.uniform(0, 7, (series, 1))) / 7)
    noise = random.exponential(spread, (series, length)) * level + random.exponential(0.05, (series, length))
    return np.asarray(level * week + noise, np.float64)
