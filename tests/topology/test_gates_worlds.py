"""Gates on whole worlds: silent where all obeys light, and never silent about faults as strong as they claim to see."""

import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.topology import gates_world as worlds
from placement.geo import great_circle_km
from placement.topology.gates import Verdicts, judge_days, judge_rows

SEEDS = st.integers(0, 2**32 - 1)


def judged(world: worlds.World) -> tuple[pd.DataFrame, Verdicts]:
    return judge_rows(world.frame, world.ends, world.regions, world.sites, {})


@settings(max_examples=12, deadline=None)
@given(SEEDS)
def test_no_gate_fires_on_a_world_that_obeys_light(seed: int) -> None:
    clean = worlds.world(seed, regions=20, sites=30)
    kept, verdicts = judged(clean)
    assert verdicts.frame["why"].tolist() == []
    assert len(kept) == len(clean.frame)


@settings(max_examples=6, deadline=None)
@given(SEEDS)
def test_no_gate_fires_on_quiet_days(seed: int) -> None:
    daily = worlds.days(worlds.calm_days(np.random.default_rng(seed), 50, 40))
    assert judge_days([daily], worlds.no_positions()).frame["why"].tolist() == []


@settings(max_examples=6, deadline=None)
@given(SEEDS, st.sampled_from(["icmp", "tcp", "stamp"]), st.sampled_from([1000.0, 0.001]))
def test_a_method_in_another_unit_is_always_found_and_nothing_else_goes(seed: int, method: str, factor: float) -> None:
    clean = worlds.world(seed, regions=20, sites=30)
    wrong = (clean.frame["method"] == method).to_numpy()
    kept, verdicts = judged(worlds.scaled(clean, wrong, factor))
    assert verdicts.frame[["gate", "method", "series"]].to_numpy().tolist() == [["units", method, wrong.sum()]]
    assert len(kept) == (~wrong).sum()


@settings(max_examples=6, deadline=None)
@given(SEEDS, st.sampled_from(["icmp", "tcp", "stamp"]))
def test_a_method_that_tells_one_way_is_always_found_and_nothing_else_goes(seed: int, method: str) -> None:
    clean = worlds.world(seed, regions=20, sites=30)
    wrong = (clean.frame["method"] == method).to_numpy()
    kept, verdicts = judged(worlds.scaled(clean, wrong, 0.5))
    assert verdicts.frame[["gate", "method", "action"]].to_numpy().tolist() == [["one-way", method, "exclude"]]
    assert len(kept) == (~wrong).sum()


@settings(max_examples=8, deadline=None)
@given(SEEDS, st.integers(0, 29), st.integers(3, 8))
def test_no_row_of_an_anycast_address_with_machines_everywhere_stands(seed: int, site: int, instances: int) -> None:
    clean = worlds.world(seed, regions=40, sites=30)
    # Machines in a far city of every sixth or so of the world: the first stands where the site is said to be.
    places = np.array([[40.7, -74.0], [50.1, 8.7], [1.35, 103.8], [-23.5, -46.6], [35.7, 139.7], [-33.9, 151.2],
                       [19.1, 72.9], [34.0, -118.2]])  # fmt: skip
    world = worlds.anycast(clean, np.random.default_rng(seed), site, places[:instances])
    kept, verdicts = judged(world)
    name = str(world.sites["site"].iloc[site])
    impossible = verdicts.frame["gate"].isin(["anycast", "geolocation", "light"])
    assert impossible.all()
    # Whatever stands of it is possible: no time is left that light forbids.
    own = kept[(kept["source"] == name) | (kept["target"] == name)]
    again, left = judged(world.with_frame(own))
    assert len(left.frame) == 0
    assert len(again) == len(own)
    # Nothing else goes.
    assert len(kept) - len(own) == ((world.frame["source"] != name) & (world.frame["target"] != name)).sum()


@pytest.mark.parametrize("seed", range(5))
def test_a_site_at_the_other_end_of_the_world_is_named_and_stands_where_the_reason_says(seed: int) -> None:
    clean = worlds.world(seed)
    site = int(np.argmax(clean.sites["longitude"]))  # far in the east; it really stands beside the westernmost region
    west = clean.regions.iloc[int(np.argmin(clean.regions["longitude"]))]
    world = worlds.moved(clean, np.random.default_rng(seed), site, float(west["latitude"]), float(west["longitude"]))
    kept, verdicts = judged(world)
    name = str(world.sites["site"].iloc[site])
    assert verdicts.frame[["gate", "source"]].to_numpy().tolist() == [["geolocation", name]]
    said = re.search(r"it stands within ([\d,]+) km of (r\d+), perhaps at", verdicts.frame["why"][0])
    assert said is not None
    near = clean.regions[clean.regions["region"] == said[2]].iloc[0]
    away = great_circle_km(west["latitude"], west["longitude"], near["latitude"], near["longitude"])
    assert away <= float(said[1].replace(",", ""))
    assert not ((kept["source"] == name) | (kept["target"] == name)).any()


@settings(max_examples=6, deadline=None)
@given(SEEDS, st.sampled_from([0.5, 0.67, 1.5, 2.0]), st.integers(8, 30))
def test_a_change_of_route_by_half_is_always_found_on_its_day(seed: int, factor: float, onset: int) -> None:
    base = worlds.calm_days(np.random.default_rng(seed), 20, 40, 0.003)
    base = base[np.median(base, axis=1) > 10]  # steps of some milliseconds
    base[:, onset:] *= factor
    found = judge_days([worlds.days(base)], worlds.no_positions()).frame
    assert found["gate"].unique().tolist() == ["route-change"]
    assert len(found) == len(base)
    assert (found["last_day"] == 20_000 + onset - 1).all()
