"""Pairs over links: sums worked out by hand, and against a search over all simple paths."""

import math
from itertools import pairwise, permutations

import numpy as np
import pytest
from topology_world import DEGREE_KM, endpoints, links, record, regions, sites, topology

from placement.topology import Provenance, State
from placement.topology.export import pairs_table
from placement.topology.ways import via


def rate(region: str, site: str, mbps: float):  # type: ignore[no-untyped-def]
    return record(region, site, method="ndt7", mbps=mbps, direction="up")


def test_a_measured_pair_followed_by_a_link_gives_an_interval_of_sums() -> None:
    ping = record("r1", "s1", *[float(v) for v in range(1, 22)])  # base 1, p95 20
    pairs = topology([ping], links=links(("s1", "s2", 7.0, None))).pairs
    assert pairs.rtt_state[0].tolist() == [State.MEASURED, State.INFERRED]
    assert pairs.rtt_provenance[0, 1] == Provenance.PATH
    # base 1 and light over one degree; half of the chance below √((1 + 7) · (20 + 7)); p95 20 and the table's 7
    interval = [float(end[0, 1]) for end in (pairs.rtt_lower_ms, pairs.rtt_mid_ms, pairs.rtt_upper_ms)]
    assert interval == pytest.approx([1 + DEGREE_KM / 100, math.sqrt(8 * 27), 27.0], rel=1e-5)
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


def test_over_links_that_nobody_measured_nothing_is_certain_but_light() -> None:
    pairs = topology(
        [], sites=sites("s1", "s2", "s3"), links=links(("r1", "s1", 5.0, None), ("s1", "s3", 6.0, None))
    ).pairs
    for site, degrees, ms in ((0, 0, 5.0), (2, 2, 11.0)):
        ends = [float(end[0, site]) for end in (pairs.rtt_lower_ms, pairs.rtt_mid_ms, pairs.rtt_upper_ms)]
        assert ends == pytest.approx([degrees * DEGREE_KM / 100, ms, ms], rel=1e-5)


def test_a_listed_figure_that_light_forbids_is_light_s() -> None:
    pairs = topology([], sites=sites("s1", "s2", "s3"), links=links(("r1", "s3", 1.0, None))).pairs
    assert [float(end[0, 2]) for end in (pairs.rtt_lower_ms, pairs.rtt_upper_ms)] == pytest.approx(
        [2.2239] * 2, rel=1e-5
    )


def test_links_to_places_that_do_not_exist_lead_nowhere() -> None:
    pairs = topology([record("r1", "s1", 10.0)], links=links(("s1", "elsewhere", 1.0, None))).pairs
    assert (pairs.rtt_state != State.UNKNOWN).sum() == 1


@pytest.mark.parametrize("seed", range(8))
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
    mbps = {name: float(random.integers(1, 40)) for name in names}
    wide = {frozenset(ends): random.choice([np.nan, *range(1, 40)], p=[0.1, *[0.9 / 39] * 39]) for ends in step}
    backbone = links(*[(a, b, rtt_ms, wide[frozenset((a, b))]) for (a, b), rtt_ms in step.items()])
    records += [rate("r1", name, mbps[name]) for name in first]
    found = topology(records, regions=regions("r1"), sites=sites(*names), links=backbone)
    pairs, ways = found.pairs, pairs_table(found.pairs, found.paths)["via"].to_pylist() if found.paths else []
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
            named = ["r1", *filter(None, (ways[column] or "").replace("site:", "").split(";")), name]
            assert first[named[1]] + sum(either[hop] for hop in pairwise(named[1:])) == min(sums)
            widths = [mbps[named[1]], *(wide[frozenset(hop)] for hop in pairwise(named[1:]))]
            assert np.array_equal(pairs.mbps[0, column], np.min(widths), equal_nan=True)  # NaN is the least of all
        else:
            assert pairs.rtt_state[0, column] == State.UNKNOWN


def test_sites_that_measured_each_other_make_their_link_exact() -> None:
    stated = links(("s1", "s2", 7.0, 900.0))
    ping = record("r1", "s1", 10.0)
    seen = record("s2", "s1", *[float(v) for v in range(20, 41)])  # base 20, p95 39; a round trip counts both ways
    up, down = (
        record("s1", "s2", method="ndt7", mbps=mbps, direction=way) for mbps, way in ((50.0, "up"), (9.0, "down"))
    )
    found = topology([ping, seen, rate("r1", "s1", 200.0), up, down], links=stated)
    assert (found.pairs.rtt_lower_ms[0, 1], found.pairs.rtt_upper_ms[0, 1]) == (30.0, 49.0)
    assert found.pairs.mbps[0].tolist() == [200.0, 50.0]  # s1 sends 50 to s2, and gets 9 back
    assert found.between[["source", "target", "rtt_p95_ms", "mbps"]].values.tolist() == [
        [0.0, 1.0, 39.0, 50.0], [1.0, 0.0, 39.0, 9.0],
    ]  # fmt: skip


def test_sites_that_measured_each_other_without_a_link_relay_nothing() -> None:
    found = topology([record("r1", "s1", 10.0), record("s1", "s2", 20.0)])
    assert found.pairs.rtt_state[0, 1] == State.UNKNOWN
    assert found.between["rtt_p95_ms"].tolist() == [20.0, 20.0]


def test_what_one_sites_own_probes_measured_of_each_other_joins_nothing() -> None:
    two = endpoints(("one", "probe", "", "s1", None), ("two", "probe", "", "s1", None))
    assert not len(topology([record("one", "two", 1.0)], endpoints=two).between)


def test_a_path_says_which_sites_it_goes_by() -> None:
    world = sites("s1", "s2", "s3", "s4")
    backbone = links(("s1", "s2", 3.0, None), ("s2", "s4", 3.0, None), ("s1", "s4", 9.0, None), ("r2", "s3", 1.0, None))
    found = topology([record("r1", "s1", 10.0)], sites=world, links=backbone)
    way = pairs_table(found.pairs, found.paths)["via"].to_pylist()
    assert way == [None, "site:s1", None, "site:s1;site:s2", None, None, None, None]
    assert found.paths is not None
    some = via(found.pairs, found.paths, np.array([0, 0]), np.array([3, 1]))
    assert some.to_pylist() == ["site:s1;site:s2", "site:s1"]
    assert len(via(found.pairs, found.paths, np.array([], np.int64), np.array([], np.int64))) == 0


def test_the_bandwidth_of_a_pair_says_where_it_comes_from_apart_from_its_latency() -> None:
    records = [record("r1", "s1", 10.0), rate("r1", "s1", 200.0), record("r1", "s2", 4.0)]
    pairs = topology(records, links=links(("s1", "s2", 3.0, 400.0), ("r1", "s2", 2.0, 70.0))).pairs
    assert pairs.rtt_provenance[0].tolist() == [Provenance.DIRECT, Provenance.DIRECT]
    assert pairs.mbps_provenance[0].tolist() == [Provenance.DIRECT, Provenance.PATH]
    assert pairs.mbps[0].tolist() == [200.0, 70.0]
    assert (pairs.mbps_provenance[1] == Provenance.NONE).all()
