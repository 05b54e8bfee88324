"""What quality gates find of planted faults and what they wrongly leave out of clean worlds, and what they cost.

python -m bench.topology.gates [--seeds N] [--cost]
"""

import argparse
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bench.topology import gates_world as worlds
from bench.topology.gates_world import World
from placement.geo import great_circle_km
from placement.topology import build_topology
from placement.topology.gates import GATES, Verdicts, judge_days, judge_rows
from placement.topology.gates.judging import OF_DAYS

Mask = NDArray[np.bool_]
SERIES, LENGTH = 400, 60
ONSET = 30
NAN = float("nan")
EMPTY = {
    "endpoints": ("endpoint", "kind", "region", "site", "weight"),
    "links": ("source", "target", "rtt_ms", "mbps"),
    "domains": ("domain", "site", "kind"),
    "demand": ("region", "requests_per_s"),
}
"""Tables of a scenario that a build needs none of."""


class Score(NamedTuple):
    """Of one planted fault: how often its gate named it, and which shares of the planted and of the other rows (or
    days) are left out, by any gate."""

    named: float
    planted_out: float
    others_out: float


def main(argv: list[str] | None = None) -> int:
    """Prints the tables."""
    parser = argparse.ArgumentParser(prog="python -m bench.topology.gates", description=__doc__)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--cost", action="store_true", help="measure the cost as well: some minutes")
    chosen = parser.parse_args(argv)
    print(f"{chosen.seeds} seeds; worlds of 40 regions × 60 sites with 3 methods; {SERIES} series of {LENGTH} days\n")
    print(f"{'gate':13}{'planted':44}{'named':>8}{'planted out':>13}{'others out':>12}")
    for gate, what, score in _scores(range(chosen.seeds)):
        print(f"{gate:13}{what:44}{score.named:8.3f}{score.planted_out:13.4f}{score.others_out:12.5f}")
    if chosen.cost:
        _cost()
    return 0


def _scores(seeds: range) -> Iterator[tuple[str, str, Score]]:
    for gate, what, one in _faults():
        every = np.array([one(seed) for seed in seeds])
        known = ~np.isnan(every).all(axis=0)
        means = [float(np.nanmean(column)) if some else NAN for column, some in zip(every.T, known, strict=True)]
        yield gate, what, Score(*means)


def _faults() -> Iterator[tuple[str, str, Callable[[int], Score]]]:
    yield "(all)", "nothing: rows", _clean_rows
    for factor in (1000.0, 0.001):
        yield "units", f"one method × {factor:g}", partial(_scaled, "units", "method", factor)
        yield "units", f"one source, one method × {factor:g}", partial(_scaled, "units", "source", factor)
        yield "units", f"5 % of rows × {factor:g}", partial(_scaled, "units", "rows", factor)
    for factor in (0.4, 0.45, 0.5, 0.55, 0.6):
        yield "one-way", f"one method × {factor:g}", partial(_scaled, "one-way", "method", factor)
    yield "one-way", "one source, one method × 0.5", partial(_scaled, "one-way", "source", 0.5)
    for km in (500, 1000, 2000, 4000, 8000):
        yield "geolocation", f"a site {km:,} km off", partial(_moved, km)
    for instances in (2, 3, 5, 10):
        yield "anycast", f"a site of {instances} machines", partial(_anycast, instances)
    yield "light", "2 % of rows at half of light", _faster
    for spread in (0.003, 0.01, 0.03, 0.1):
        yield "(all)", f"nothing: days that vary by {spread:.1%}", partial(_days, "", spread, _nothing)
    for step in (1.07, 1.1, 1.2, 1.5, 0.9, 0.8, 0.67):
        yield "route-change", f"× {step:g} on day {ONSET}", partial(_days, "route-change", 0.01, _step(step))
    for days in (1, 3, 10):
        yield "units", f"{days} days × 1000", partial(_days, "units", 0.01, _stretch(days, 1000.0))
    for days in (2, 3, 5, 10):
        yield "frozen", f"a figure that stands for {days} days more", partial(_days, "frozen", 0.01, _still(days))


def _judged(world: World) -> tuple[Verdicts, Mask]:
    """The verdicts, and which rows are out."""
    numbered = world.frame.assign(row=np.arange(len(world.frame)))
    kept, verdicts = judge_rows(numbered, world.ends, world.regions, world.sites, {})
    out = np.ones(len(numbered), np.bool_)
    out[kept["row"].to_numpy()] = False
    return verdicts, out


def _score(named: float, planted: Mask, out: Mask) -> Score:
    return Score(named, out[planted].mean() if planted.any() else NAN, out[~planted].mean())


def _clean_rows(seed: int) -> Score:
    verdicts, out = _judged(worlds.world(seed))
    return _score(len(verdicts.frame), np.zeros(len(out), np.bool_), out)


def _scaled(gate: str, whose: str, factor: float, seed: int) -> Score:
    clean = worlds.world(seed)
    random = np.random.default_rng(seed + 1000)
    method = (clean.frame["method"] == "tcp").to_numpy()
    busiest = clean.frame.loc[method, "source"].value_counts().sort_index().idxmax()
    planted = {
        "method": method,
        "source": method & (clean.frame["source"] == busiest).to_numpy(),
        "rows": random.random(len(method)) < 0.05,
    }[whose]
    verdicts, out = _judged(worlds.scaled(clean, planted, factor))
    own = verdicts.frame[verdicts.frame["gate"] == gate]
    named = own["series"].sum() / planted.sum() if whose == "rows" else (own["series"] >= planted.sum()).any()
    return _score(float(named), planted, out)


def _moved(km: float, seed: int) -> Score:
    clean = worlds.world(seed)
    random = np.random.default_rng(seed + 2000)
    here = clean.sites[["latitude", "longitude"]].to_numpy(np.float64)
    # Among all cities of the world, the one nearest to that far away: where its neighbours are, as a rule.
    every = np.concatenate([here, clean.regions[["latitude", "longitude"]].to_numpy(np.float64)])
    site = int(random.integers(len(here)))
    away = great_circle_km(here[site, 0], here[site, 1], every[:, 0], every[:, 1])
    there = every[int(np.argmin(np.abs(away - km)))] + random.uniform(-0.3, 0.3, 2)
    world = worlds.moved(clean, random, site, float(there[0]), float(there[1]))
    return _of_site(world, site, "geolocation")


def _anycast(instances: int, seed: int) -> Score:
    clean = worlds.world(seed)
    random = np.random.default_rng(seed + 3000)
    here = clean.sites[["latitude", "longitude"]].to_numpy(np.float64)
    picked = random.permutation(len(here))[:instances]
    world = worlds.anycast(clean, random, int(picked[0]), here[picked])
    return _of_site(world, int(picked[0]), "anycast")


def _of_site(world: World, site: int, gate: str) -> Score:
    name = str(world.sites["site"].iloc[site])
    verdicts, out = _judged(world)
    found = verdicts.frame[verdicts.frame["gate"] == gate]
    planted = ((world.frame["source"] == name) | (world.frame["target"] == name)).to_numpy()
    return _score(float((found["source"] == name).any()), planted, out)


def _faster(seed: int) -> Score:
    clean = worlds.world(seed)
    region = {name: i for i, name in enumerate(clean.regions["region"])}
    site = {name: i for i, name in enumerate(clean.sites["site"])}
    places = [table[["latitude", "longitude"]].to_numpy(np.float64) for table in (clean.regions, clean.sites)]
    km = great_circle_km(places[0][:, :1], places[0][:, 1:], places[1][None, :, 0], places[1][None, :, 1])
    back = clean.frame["source"].isin(site).to_numpy()
    near = np.where(back, clean.frame["target"], clean.frame["source"])
    far = np.where(back, clean.frame["source"], clean.frame["target"])
    own = km[[region[name] for name in near], [site[name] for name in far]]
    planted = (np.random.default_rng(seed + 4000).random(len(own)) < 0.02) & (own > 400)
    frame = clean.frame.copy()
    for column in ("rtt_base_ms", "rtt_p50_ms", "rtt_p95_ms"):
        frame.loc[planted, column] = 0.5 * own[planted] / 102.1
    verdicts, out = _judged(clean.with_frame(frame))
    return _score(float((verdicts.frame["gate"] == "light").sum() / planted.sum()), planted, out)


Plant = Callable[[NDArray[np.float64], Mask], Mask]


def _days(gate: str, spread: float, plant: Plant, seed: int) -> Score:
    random = np.random.default_rng(seed)
    base = worlds.calm_days(random, SERIES, LENGTH, spread)
    touched = random.random(SERIES) < 0.5
    planted = plant(base, touched)
    still = np.where(planted, 1.0, 20.0)
    daily = worlds.days(base, distinct=still if gate == "frozen" else None)
    verdicts = judge_days([daily], worlds.no_positions())
    out = np.zeros(base.shape, np.bool_)
    days = verdicts.excluded_days()
    out[days["source"].str[1:].astype(int).to_numpy(), days["day"].to_numpy() - 20_000] = True
    own = verdicts.frame[verdicts.frame["gate"] == gate]["source"].str[1:].astype(int).unique()
    named = np.isin(np.flatnonzero(planted.any(axis=1)), own)
    return _score(float(named.mean()) if len(named) else NAN, planted, out)


def _nothing(base: NDArray[np.float64], touched: Mask) -> Mask:
    return np.zeros(base.shape, np.bool_)


def _step(factor: float) -> Plant:
    def plant(base: NDArray[np.float64], touched: Mask) -> Mask:
        base[touched, ONSET:] *= factor
        return touched[:, None] & (np.arange(LENGTH) < ONSET)[None, :]

    return plant


def _stretch(days: int, factor: float) -> Plant:
    def plant(base: NDArray[np.float64], touched: Mask) -> Mask:
        planted = touched[:, None] & ((np.arange(LENGTH) >= ONSET) & (np.arange(LENGTH) < ONSET + days))[None, :]
        base[planted] *= factor
        return planted

    return plant


def _still(days: int) -> Plant:
    def plant(base: NDArray[np.float64], touched: Mask) -> Mask:
        base[touched, ONSET : ONSET + days] = base[touched, ONSET - 1][:, None]
        return _stretch(days, 1.0)(base, touched)

    return plant


def _cost() -> None:
    """CPU seconds for some millions of series-days, for a million rows, and as a share of a whole build."""
    random = np.random.default_rng(0)
    print(f"\n{'cost':44}{'count':>12}{'CPU s':>10}{'µs each':>10}")
    for series in (25_000, 100_000):
        parts = [worlds.days(worlds.calm_days(random, 25_000, 30)) for _ in range(series // 25_000)]
        parts = [part.astype(dict.fromkeys(("source", "target", "method"), "category")) for part in parts]
        _timed("series-days", sum(map(len, parts)), partial(judge_days, parts, worlds.no_positions()))
    for regions, sites in ((100, 300), (300, 1000)):
        world = worlds.world(0, regions=regions, sites=sites, known=1.0, cities=regions + sites)
        frame = world.frame.astype(dict.fromkeys(("source", "target", "method"), "category"))
        _timed("rows", len(frame), partial(judge_rows, frame, world.ends, world.regions, world.sites, {}))
    _share_of_build(random)


def _share_of_build(random: np.random.Generator) -> None:
    """A build of 300,000 records over thirty days with all gates, without those of days, and without any."""
    world = worlds.world(1, regions=100, sites=100)
    times = worlds.records(world, random, pairs=10_000, days=30)
    empty = {name: pd.DataFrame(columns=list(columns)) for name, columns in EMPTY.items()}
    tables = {"regions": world.regions, "sites": world.sites, **empty}
    for what, off in (("with all gates", ()), ("without gates of days", tuple(OF_DAYS)), ("without gates", GATES)):
        _timed(f"records, built {what}", times.num_rows, partial(build_topology, times, tables, None, off))


def _timed(what: str, count: int, run: Callable[[], object]) -> None:
    start = time.process_time()
    run()
    seconds = time.process_time() - start
    print(f"{what:44}{count:12,}{seconds:10.2f}{1e6 * seconds / count:10.2f}", flush=True)


if __name__ == "__main__":
    raise SystemExit(main())
