"""What neighbours say of pairs that nobody measured: when they may, what they displace, and how well they tell."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from topology_world import endpoints, links, record, topology

from placement.datasets import dataset
from placement.geo import great_circle_km
from placement.scenario import load
from placement.scenario.document import Quality
from placement.topology import Provenance, State, Topology, build_pairs, build_topology
from placement.topology.aggregate import distance_ms
from placement.topology.direct import Direct
from placement.topology.neighbours import LEAST_PARTNERS, MOST_PARTNERS, Mask, neighbours, within_say
from placement.topology.pairs import Float
from placement.worlds.edge import generate
from probes.record import Record
from probes.store import read_folder

REGIONS, SITES = 24, 36
HIDDEN = (5, 7)  # never measured in the worlds below


def places(count: int, seed: int, kind: str) -> pd.DataFrame:
    """Places all over a continent, in the order of their names."""
    random = np.random.default_rng(seed)
    names = [f"{kind[0]}{i:02}" for i in range(count)]
    return pd.DataFrame(
        {
            kind: names, "name": names, "country": "EC",
            "latitude": random.uniform(-30, 30, count), "longitude": random.uniform(-40, 40, count),
            **({"users": 100.0} if kind == "region" else {}),
        }
    )  # fmt: skip


REGION_TABLE, SITE_TABLE = places(REGIONS, 0, "region"), places(SITES, 1, "site")


def truth_ms() -> Float:
    """Distance, a last mile per end, noise."""
    random = np.random.default_rng(2)
    km = great_circle_km(
        *(REGION_TABLE[[axis]].to_numpy() for axis in ("latitude", "longitude")),
        *(SITE_TABLE[axis].to_numpy()[None] for axis in ("latitude", "longitude")),
    )
    miles = random.lognormal(1.5, 0.6, (REGIONS, 1)) + random.lognormal(1.5, 0.6, (1, SITES))
    return np.asarray((1.6 * km / 100 + miles) * random.lognormal(0, 0.05, km.shape))


TRUTH_MS = truth_ms()


def known_pairs(partners: int, seed: int = 0) -> Mask:
    """So many regions a site on average, drawn at random."""
    random = np.random.default_rng(seed)
    flat = np.zeros(REGIONS * SITES, bool)
    flat[random.permutation(flat.size)[: partners * SITES]] = True
    known = flat.reshape(REGIONS, SITES)
    known[HIDDEN] = False
    return known


def pings(known: Mask) -> list[Record]:
    region, site = np.nonzero(known)
    return [record(f"r{r:02}", f"s{s:02}", float(TRUTH_MS[r, s])) for r, s in zip(region, site, strict=True)]


def world(records: list[Record], **tables: pd.DataFrame) -> Topology:
    return topology(records, regions=REGION_TABLE, sites=SITE_TABLE, **tables)


def test_pairs_whose_ends_have_measured_others_get_an_interval_that_holds() -> None:
    known = known_pairs(12)
    pairs = world(pings(known)).pairs
    near = pairs.rtt_provenance == Provenance.NEIGHBOURS
    assert (pairs.rtt_state[near] == State.INFERRED).all()
    assert not (near & known).any()
    assert near.sum() > 0.6 * (~known).sum()
    lower, mid, upper = (array[near] for array in (pairs.rtt_lower_ms, pairs.rtt_mid_ms, pairs.rtt_upper_ms))
    assert ((lower <= mid) & (mid <= upper)).all()
    assert ((lower <= TRUTH_MS[near]) & (TRUTH_MS[near] <= upper)).mean() > 0.8
    assert np.median(np.abs(mid - TRUTH_MS[near]) / TRUTH_MS[near]) < 0.1
    assert (pairs.samples[near] == 0).all()
    assert np.isnan(pairs.rtt_p95_ms[near]).all()


def test_what_was_held_out_is_told_with_the_topology() -> None:
    found = world(pings(known_pairs(12))).held_out
    assert found is not None
    assert 0.6 * 12 * SITES < found.pairs < 12 * SITES
    assert found.covered == pytest.approx(1 - found.below - found.above)
    assert 0.8 < found.covered <= 1.0
    assert found.median_error < 0.1
    assert world(pings(known_pairs(0))).held_out is None


def test_the_same_records_in_another_order_give_the_same_bytes() -> None:
    records = pings(known_pairs(8))
    one, other = world(records).pairs, world(records[::-1]).pairs
    for name in ("rtt_lower_ms", "rtt_mid_ms", "rtt_upper_ms", "rtt_provenance"):
        assert getattr(one, name).tobytes() == getattr(other, name).tobytes()


def test_neighbours_are_silent_below_four_partners_and_beyond_the_farthest() -> None:
    """By plain loops over what the rule says, on random worlds."""
    for seed in range(20):
        random = np.random.default_rng(seed)
        measured = random.random((9, 7)) < 0.7
        prior = np.round(random.uniform(10, 90, (9, 7)), random.integers(0, 3))
        said = within_say(measured, prior)
        for r in range(9):
            for s in range(7):
                of_region = [prior[r, j] for j in range(7) if measured[r, j] and j != s]
                of_site = [prior[i, s] for i in range(9) if measured[i, s] and i != r]
                enough = min(len(of_region), len(of_site)) >= LEAST_PARTNERS
                assert said[r, s] == (enough and prior[r, s] <= min(max(of_region), max(of_site)))


def test_who_measures_the_nearest_only_learns_nothing_of_the_far() -> None:
    km = great_circle_km(
        *(REGION_TABLE[[axis]].to_numpy() for axis in ("latitude", "longitude")),
        *(SITE_TABLE[axis].to_numpy()[None] for axis in ("latitude", "longitude")),
    )
    nearest = np.argsort(np.argsort(km, axis=1), axis=1) < 8
    pairs = world(pings(nearest)).pairs
    assert (pairs.rtt_state == State.INFERRED).sum() == 0


def test_no_work_is_done_where_nobody_could_be_told_anything(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object) -> None:
        raise AssertionError("the inference was asked")

    monkeypatch.setattr("placement.topology.neighbours.infer", never)
    assert (world(pings(known_pairs(0))).pairs.rtt_state == State.UNKNOWN).all()
    everything = np.ones((REGIONS, SITES), bool)
    assert (world(pings(everything)).pairs.rtt_state == State.MEASURED).all()
    three = np.zeros((REGIONS, SITES), bool)
    three[:, : LEAST_PARTNERS - 1] = True
    assert world(pings(three)).held_out is None


def only(at: tuple[int, int]) -> tuple[str, str]:
    return f"r{at[0]:02}", f"s{at[1]:02}"


def test_neighbours_take_the_place_of_country_figures_whichever_is_lower() -> None:
    table = endpoints(*[("EC", "country", name, "", None) for name in REGION_TABLE["region"]],
                      *[("EC", "country", "", name, None) for name in SITE_TABLE["site"]])  # fmt: skip
    for p95_ms in (1.0, 5000.0):
        figure = record("EC", "EC", sent=99, received=99, rtt_min_ms=0.5, rtt_p50_ms=p95_ms, rtt_p95_ms=p95_ms)
        pairs = world([*pings(known_pairs(12)), figure], endpoints=table).pairs
        provenance = pairs.rtt_provenance[~known_pairs(12)]
        assert {Provenance.NEIGHBOURS, Provenance.AGGREGATE} >= {*provenance.tolist()}
        assert (provenance == Provenance.NEIGHBOURS).sum() > 100


def test_a_path_stands_where_its_upper_end_is_lower_and_only_there() -> None:
    known = known_pairs(12)
    region, site = HIDDEN
    told = world(pings(known)).pairs
    assert told.rtt_provenance[HIDDEN] == Provenance.NEIGHBOURS
    lower_ms, upper_ms = float(told.rtt_lower_ms[HIDDEN]), float(told.rtt_upper_ms[HIDDEN])
    ways = np.flatnonzero(known[region])
    by_way_of = int(ways[np.argmin(np.abs(TRUTH_MS[region, ways] - (lower_ms + upper_ms) / 2))])
    first_ms = float(TRUTH_MS[region, by_way_of])
    assert lower_ms < first_ms < upper_ms
    for link_ms, provenance, expected_ms in (
        (0.9 * (upper_ms - first_ms), Provenance.PATH, first_ms + 0.9 * (upper_ms - first_ms)),
        (1.1 * (upper_ms - first_ms), Provenance.NEIGHBOURS, upper_ms),
    ):
        pairs = world(pings(known), links=links((f"s{by_way_of:02}", f"s{site:02}", link_ms, None))).pairs
        assert pairs.rtt_provenance[HIDDEN] == provenance
        assert pairs.rtt_upper_ms[HIDDEN] == pytest.approx(expected_ms)


def test_an_average_between_the_pairs_own_ends_is_not_displaced() -> None:
    records = pings(known_pairs(12))
    average = record(*only(HIDDEN), method="imported:x", sent=None, received=1, rtt_avg_ms=4000.0)
    pairs = world([*records, average]).pairs
    assert pairs.rtt_provenance[HIDDEN] == Provenance.DIRECT
    assert pairs.rtt_upper_ms[HIDDEN] == pytest.approx(4000 * 1.2 + 5)


def measured(rtt_ms: np.ndarray, observed_at_s: np.ndarray) -> Direct:
    found = Direct.nothing((rtt_ms.shape[0], rtt_ms.shape[1]))
    found.rtt_p95_ms[:] = rtt_ms
    found.observed_at_s[:] = np.where(np.isnan(rtt_ms), np.nan, observed_at_s)
    return found


def test_it_is_as_old_as_the_end_that_was_not_measured_for_longer() -> None:
    rtt_ms = np.where(known_pairs(12), TRUTH_MS, np.nan)
    day = np.zeros((REGIONS, SITES))
    day[HIDDEN[0]], day[:, HIDDEN[1]] = 5.0, 3.0  # the region's newest is day 5, the site's day 3
    prior = distance_ms(np.full((REGIONS, SITES), 1000.0))
    found = neighbours(measured(rtt_ms, day), prior, np.zeros_like(prior), 0)
    assert found is not None
    assert found.observed_at_s[HIDDEN] == 3.0
    assert np.isnan(found.observed_at_s[known_pairs(12)]).all()


def test_of_very_many_partners_some_are_drawn_and_every_end_keeps_enough() -> None:
    from placement.topology.neighbours import _drawn  # noqa: PLC0415

    is_measured = np.random.default_rng(0).random((90, 70)) < 0.8
    is_measured[:, 0] = False
    is_measured[:6, 0] = True
    drawn = _drawn(is_measured, 0)
    assert not (drawn & ~is_measured).any()
    assert (drawn.sum(axis=0) >= np.minimum(is_measured.sum(axis=0), MOST_PARTNERS)).all()
    assert (drawn.sum(axis=1) >= np.minimum(is_measured.sum(axis=1), MOST_PARTNERS)).all()
    assert drawn[:6, 0].all()
    assert drawn.sum() < 0.8 * is_measured.sum()


def test_a_scenario_whose_slow_pairs_were_left_out_has_nothing_inferred_from_the_others(tmp_path: Path) -> None:
    generate(tmp_path / "edge", sites=40, regions=30, models=2, seed=0)
    loaded = load(tmp_path / "edge")
    assert not loaded.document.quality.neighbours
    silent = build_pairs(loaded)
    believing = loaded.document.model_copy(update={"quality": Quality(neighbours=True)})
    asked = build_pairs(replace(loaded, document=believing))
    assert silent.held_out is None
    assert (silent.pairs.rtt_provenance != Provenance.NEIGHBOURS).all()
    assert (asked.pairs.rtt_provenance == Provenance.NEIGHBOURS).any()


def test_averages_of_clouds_speak_of_pairs_that_were_held_out() -> None:
    """A quarter of intercloud-2022: what a plan would take from their own averages lies where neighbours say."""
    scenario = load(dataset("intercloud-2022"))
    truth = build_pairs(scenario).pairs
    records = read_folder(scenario.folder / "measurements")
    ends = zip(records.column("source").to_pylist(), records.column("target").to_pylist(), strict=True)
    names = [tuple(sorted(pair)) for pair in ends]
    lot = np.random.default_rng(0)
    hidden = {name for name in sorted(set(names)) if lot.random() < 0.25}
    tables = {name: scenario.table(name) for name in ("regions", "sites", "endpoints", "links", "domains", "demand")}
    found = build_topology(records.filter(pa.array([name not in hidden for name in names])), tables).pairs
    own = truth.rtt_provenance == Provenance.DIRECT
    near = own & (found.rtt_provenance == Provenance.NEIGHBOURS)
    assert near.sum() > 0.2 * own.sum()
    kept = own & (found.rtt_provenance == Provenance.DIRECT)
    np.testing.assert_array_equal(found.rtt_upper_ms[kept], truth.rtt_upper_ms[kept])
    told, lower, mid = truth.rtt_upper_ms[near], found.rtt_lower_ms[near], found.rtt_mid_ms[near]
    assert (told <= found.rtt_upper_ms[near]).mean() >= 0.92
    assert (told >= lower).mean() >= 0.92
    assert np.median(np.abs(mid - told) / told) < 0.06
