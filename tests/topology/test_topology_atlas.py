"""The bundled world of 2025: what the topology makes of real country figures is sensible."""

from functools import cache

import numpy as np
import pytest

from placement.datasets import dataset
from placement.scenario import load
from placement.topology import State, Topology, build_pairs


@cache
def atlas() -> Topology:
    return build_pairs(load(dataset("atlas-2025")))


def planned_ms(region_country: str, site_country: str) -> "np.ndarray[tuple[int], np.dtype[np.float64]]":
    """Planned RTT of all pairs of two countries that are known, ms."""
    found = atlas()
    regions, sites = found.regions["country"] == region_country, found.sites["country"] == site_country
    block = found.pairs.planned_rtt_ms[np.ix_(regions.to_numpy(), sites.to_numpy())]
    return block[~np.isnan(block)]


def test_every_record_of_the_bundled_world_finds_its_places() -> None:
    assert atlas().unmapped == {}
    assert atlas().stale == {}
    assert not (atlas().pairs.rtt_state == State.MEASURED).any()  # country figures measure no pair


@pytest.mark.parametrize(
    ("region", "site", "least", "most"),
    [("FR", "FR", 20, 40), ("FR", "DE", 30, 60), ("JP", "US", 100, 250), ("GB", "US", 90, 240), ("IN", "IN", 20, 90)],
)
def test_planned_times_between_countries_are_sensible(region: str, site: str, least: float, most: float) -> None:
    found = planned_ms(region, site)
    assert len(found) > 0
    assert least <= found.min()
    assert found.max() <= most


def test_the_united_states_are_neither_one_place_nor_290_ms_wide() -> None:
    found = planned_ms("US", "US")
    assert found.min() < 30
    assert np.median(found) < 100
    assert (found < 120).mean() > 0.8  # Alaska and Hawaii are the rest


def test_most_users_are_near_and_those_without_data_stay_unknown() -> None:
    total = atlas().coverage().set_index("country").loc["all"]
    assert 0.96 <= total["reachable_users"] <= 0.98  # 2.6 % of Internet users live where nothing was measured
    assert total["nearest_p50_ms"] < 30
    assert "MM" in set(atlas().regions["country"])
    assert len(planned_ms("MM", "SG")) == 0


def test_no_pair_is_planned_faster_than_light_in_fibre() -> None:
    pairs = atlas().pairs
    known = pairs.rtt_state != State.UNKNOWN
    assert (pairs.rtt_lower_ms[known] <= pairs.rtt_upper_ms[known]).all()
    assert (pairs.rtt_upper_ms[known] >= 5).all()
