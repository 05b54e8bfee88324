"""Pairs over links: sums worked out by hand, and against a search over all simple paths."""

from itertools import pairwise, permutations

import numpy as np
import pytest
from topology_world import links, record, regions, sites, topology

from placement.topology import Provenance, State


def rate(region: str, site: str, mbps: float):  # type: ignore[no-untyped-def]
    return record(region, site, method="ndt7", mbps=mbps, direction="up")


def test_a_measured_pair_followed_by_a_link_gives_an_interval_of_sums() -> None:
    ping = record("r1", "s1", *[float(v) for v in range(1, 22)])  # base 1, p95 20
    pairs = topology([ping], links=links(("s1", "s2", 7.0, None))).pairs
    assert pairs.rtt_state[0].tolist() == [State.MEASURED, State.INFERRED]
    assert pairs.rtt_provenance[0, 1] == Provenance.PATH
    assert (pairs.rtt_lower_ms[0, 1], pairs.rtt_upper_ms[0, 1]) == (8.0, 27.0)
    assert pairs.planned_rtt_ms[0, 1] == 27.0
    assert np.isnan(pairs.rtt_p95_ms[0, 1])
    assert (pairs.rtt_state[1] == State.UNKNOWN).all()


def test_what_is_measured_stands_though_a_path_would_be_shorter() -> None:
    records = [record("r1", "s1", 5.0), record("r1", "s2", 50.0)]
    pairs = topology(records, links=links(("s1", "s2", 1.0, None))).pairs
    assert (pairs.planned_rtt_ms[0, 1], pairs.rtt_state[0, 1]) == (50.0, State.MEASURED)


def test_links_run_both_ways_and_the_shortest_of_several_counts() -> None:
    world = sites("s1", "s2", "s3", "s4")
    backbone = links(("s2", "s1", 3.0, None), ("s2", "s3", 4.0, None), ("s1", "s3", 9.0, None), ("s1", "s3", 8.0, None))
    pairs = topology([record("r1", "s1", 10.0)], sites=world, links=backbone).pairs
    assert pairs.planned_rtt_ms[0].tolist()[:3] == [10.0, 13.0, 17.0]
    assert pairs.rtt_state[0, 3] == State.UNKNOWN  # no link leads there


def test_the_bandwidth_of_a_path_is_that_of_its_narrowest_step() -> None:
    backbone = links(("s1", "s2", 3.0, 400.0), ("s2", "s3", 3.0, 150.0), ("s2", "s4", 3.0, None))
    records = [record("r1", "s1", 10.0), rate("r1", "s1", 200.0)]
    pairs = topology(records, sites=sites("s1", "s2", "s3", "s4"), links=backbone).pairs
    assert pairs.mbps[0, :3].tolist() == [200.0, 200.0, 150.0]
    assert np.isnan(pairs.mbps[0, 3])  # one step is not known
    assert pairs.mbps_state[0].tolist() == [State.MEASURED, State.INFERRED, State.INFERRED, State.UNKNOWN]


def test_no_path_leads_through_a_region() -> None:
    backbone = links(("s1", "r2", 2.0, None), ("r2", "s2", 2.0, None))
    pairs = topology([record("r1", "s1", 10.0)], links=backbone).pairs
    assert pairs.rtt_state[0, 1] == State.UNKNOWN
    assert pairs.planned_rtt_ms[1].tolist() == [2.0, 2.0]  # the region's own uplinks


def test_links_to_places_that_do_not_exist_lead_nowhere() -> None:
    pairs = topology([record("r1", "s1", 10.0)], links=links(("s1", "elsewhere", 1.0, None))).pairs
    assert (pairs.rtt_state != State.UNKNOWN).sum() == 1


@pytest.mark.parametrize("seed", range(5))
def test_paths_agree_with_a_search_over_all_simple_paths(seed: int) -> None:
    random = np.random.default_rng(seed)
    names = [f"s{i}" for i in range(5)]
    step = {
        (a, b): float(random.integers(1, 40))
        for i, a in enumerate(names)
        for b in names[i + 1 :]
        if random.random() < 0.5
    }
    first = {name: float(random.integers(100, 200)) for name in names if random.random() < 0.5}
    records = [record("r1", name, rtt_ms) for name, rtt_ms in first.items()]
    backbone = links(*[(a, b, rtt_ms, None) for (a, b), rtt_ms in step.items()])
    pairs = topology(records, regions=regions("r1"), sites=sites(*names), links=backbone).pairs
    either = {**step, **{(b, a): rtt_ms for (a, b), rtt_ms in step.items()}}
    for column, name in enumerate(names):
        if name in first:
            assert pairs.planned_rtt_ms[0, column] == first[name]
            continue
        sums = [
            first[way[0]] + sum(either[hop] for hop in pairwise(way))
            for length in range(2, 6)
            for way in permutations(names, length)
            if way[-1] == name and way[0] in first and all(hop in either for hop in pairwise(way))
        ]
        if sums:
            assert pairs.rtt_upper_ms[0, column] == min(sums)
        else:
            assert pairs.rtt_state[0, column] == State.UNKNOWN
