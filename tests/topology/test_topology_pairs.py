"""Measured pairs: endpoints, weights, methods, directions, and the one state of every pair."""

import numpy as np
import pytest
from topology_world import DEGREE_KM, demand, endpoints, record, regions, sites, topology

from placement.topology import Provenance, State
from placement.topology.direct import weighted_quantile


def test_a_pair_nobody_measured_stays_unknown() -> None:
    pairs = topology([record("r1", "s1", 10.0)]).pairs
    assert pairs.rtt_state.tolist() == [[State.MEASURED, State.UNKNOWN], [State.UNKNOWN, State.UNKNOWN]]
    assert np.isnan(pairs.planned_rtt_ms[0, 1])
    assert np.isnan(pairs.rtt_upper_ms[1]).all()
    assert pairs.samples.tolist() == [[1, 0], [0, 0]]
    assert (pairs.mbps_state == State.UNKNOWN).all()


def test_without_any_record_all_is_unknown() -> None:
    found = topology([])
    assert (found.pairs.rtt_state == State.UNKNOWN).all()
    assert found.pairs.rtt_state.shape == (2, 2)
    assert found.unmapped == {}


def test_a_measured_pair_plans_with_its_p95() -> None:
    pairs = topology([record("r1", "s1", *[float(v) for v in range(1, 22)])]).pairs
    assert pairs.rtt_provenance[0, 0] == Provenance.DIRECT
    assert (pairs.planned_rtt_ms[0, 0], pairs.rtt_lower_ms[0, 0], pairs.rtt_base_ms[0, 0]) == (20.0, 20.0, 1.0)


def test_a_round_trip_is_the_same_either_way_round() -> None:
    pairs = topology([record("s2", "r1", 30.0)]).pairs
    assert pairs.planned_rtt_ms[0, 1] == 30.0


def test_bandwidth_from_region_to_site_is_up_from_the_region_and_down_from_the_site() -> None:
    rates = [
        record("r1", "s1", method="ndt7", mbps=20.0, direction="up"),
        record("r1", "s1", method="ndt7", mbps=90.0, direction="down"),
        record("s2", "r1", method="ndt7", mbps=1.0, direction="up"),
        record("s2", "r1", method="ndt7", mbps=30.0, direction="down"),
    ]
    pairs = topology(rates).pairs
    assert pairs.mbps[0].tolist() == [20.0, 30.0]
    assert pairs.mbps_state[0].tolist() == [State.MEASURED, State.MEASURED]
    assert (pairs.rtt_state == State.UNKNOWN).all()


def test_of_two_ways_to_measure_bandwidth_the_lower_counts() -> None:
    rates = [
        record("r1", "s1", method=method, mbps=mbps, direction="up")
        for method, mbps in (("train", 1000.0), ("ndt7", 300.0), ("ndt7", 320.0), ("ndt7", 310.0))
    ]
    assert topology(rates).pairs.mbps[0, 0] == 310.0


def test_endpoints_lead_to_their_region_and_site() -> None:
    table = endpoints(("198.51.100.7", "address", "r2", "", None), ("pop.example", "host", "", "s2", None))
    pairs = topology([record("198.51.100.7", "pop.example", 12.0)], endpoints=table).pairs
    assert pairs.planned_rtt_ms[1, 1] == 12.0
    assert (pairs.rtt_state == State.MEASURED).sum() == 1


def test_a_name_that_maps_nowhere_is_counted_by_record_and_named() -> None:
    records = [record("r1", "nobody", 1.0), record("r1", "nobody", 2.0), record("stranger", "s1", 3.0)]
    found = topology([*records, record("r1", "s1", 4.0), record("loop", "loop", 5.0)])
    assert found.unmapped == {"loop": 1, "nobody": 2, "stranger": 1}
    assert found.pairs.planned_rtt_ms[0, 0] == 4.0


def test_the_table_decides_alone_about_a_name_it_lists() -> None:
    table = endpoints(("r1", "host", "r2", "", None))
    pairs = topology([record("r1", "s1", 7.0)], endpoints=table).pairs
    assert pairs.rtt_state[:, 0].tolist() == [State.UNKNOWN, State.MEASURED]


def test_weights_of_endpoints_decide_what_the_p95_of_their_region_is() -> None:
    def planned(weight: float) -> float:
        table = endpoints(("many", "probe", "r1", "", 1.0), ("few", "probe", "r1", "", weight))
        records = [record("many", "s1", 10.0), record("few", "s1", 90.0)]
        return float(topology(records, endpoints=table).pairs.planned_rtt_ms[0, 0])

    assert planned(0.05) == 10.0  # 1/1.05 = 95.2 % of the weight has 10 ms
    assert planned(0.06) == 90.0  # 1/1.06 = 94.3 %


def test_loss_and_jitter_of_endpoints_are_weighted_means() -> None:
    table = endpoints(("one", "probe", "r1", "", 3.0), ("two", "probe", "r1", "", 1.0))
    records = [
        record("one", "s1", 10.0, 12.0, sent=2, received=2),
        record("two", "s1", 10.0, 16.0, sent=4, received=2),
    ]
    pairs = topology(records, endpoints=table).pairs
    assert pairs.loss[0, 0] == pytest.approx(0.125)  # (3·0 + 1·0.5) / 4
    assert pairs.jitter_ms[0, 0] == pytest.approx(3.0)  # (3·2 + 1·6) / 4


def test_icmp_that_is_dropped_says_nothing_where_tcp_gets_through() -> None:
    records = [record("r1", "s1", sent=10, received=0), record("r1", "s1", 20.0, 21.0, method="tcp")]
    pairs = topology(records).pairs
    assert (pairs.loss[0, 0], pairs.samples[0, 0]) == (0.0, 2)


def test_a_pair_whose_packets_all_get_lost_is_unknown_with_a_loss_of_one() -> None:
    pairs = topology([record("r1", "s1", sent=10, received=0)]).pairs
    assert (pairs.rtt_state[0, 0], pairs.loss[0, 0]) == (State.UNKNOWN, 1.0)


def test_http_times_count_only_where_nothing_nearer_to_the_network_was_measured() -> None:
    records = [
        record("r1", "s1", 20.0),
        record("r1", "s1", 80.0, method="http"),
        record("r1", "s2", 85.0, method="http"),
    ]
    assert topology(records).pairs.planned_rtt_ms[0].tolist() == [20.0, 85.0]


def test_an_average_between_the_pairs_own_ends_is_inferred_and_never_measured() -> None:
    found = [
        record("r1", "s1", method="imported:x", sent=None, received=1, rtt_avg_ms=40.0),
        record(
            "r1", "s2", method="imported:x", sent=20, received=20, rtt_avg_ms=40.0, rtt_std_ms=20.0, rtt_min_ms=30.0
        ),
    ]
    pairs = topology(found).pairs
    assert pairs.rtt_state[0].tolist() == [State.INFERRED, State.INFERRED]
    assert pairs.planned_rtt_ms[0, 0] == pytest.approx(40 * 1.2 + 5)
    assert pairs.planned_rtt_ms[0, 1] == pytest.approx(40 + 1.645 * 20)  # wider than 53: the deviation is known
    assert (pairs.rtt_lower_ms[0, 0], pairs.rtt_lower_ms[0, 1]) == (0.0, 30.0)
    assert np.isnan(pairs.rtt_p95_ms).all()


def test_the_lower_end_of_an_inferred_pair_is_never_below_light_in_fibre() -> None:
    far = regions("r1", "r2", "r3", "r4", "r5", "r6")
    pairs = topology([record("r6", "s1", received=1, sent=1, rtt_avg_ms=40.0)], regions=far).pairs
    assert pairs.rtt_lower_ms[5, 0] == pytest.approx(5 * DEGREE_KM / 100, rel=1e-4)


def test_a_name_that_is_region_and_site_measures_both_pairs() -> None:
    pairs = topology([record("x", "y", 10.0)], regions=regions("x", "y"), sites=sites("x", "y")).pairs
    assert pairs.rtt_state.tolist() == [[State.UNKNOWN, State.MEASURED], [State.MEASURED, State.UNKNOWN]]


def test_coverage_weighs_states_by_users_and_requests() -> None:
    table = demand(("r1", 30.0), ("r2", 10.0))
    found = topology([record("r1", "s1", 10.0), record("r1", "s2", 20.0)], demand=table).coverage()
    total = found.set_index("country").loc["all"]
    assert (total["measured"], total["inferred"], total["unknown"]) == (2, 0, 2)
    assert total["measured_users"] == pytest.approx(100 / 300)
    assert total["measured_demand"] == 0.75
    assert total["reachable_users"] == pytest.approx(100 / 300)
    assert np.isnan(total["nearest_p50_ms"])  # most users have no site that is known


def test_coverage_is_by_country_and_namibia_is_one() -> None:
    world = regions("r1", "r2")
    world["country"] = ["NA", "NO"]
    found = topology([record("r1", "s1", 10.0)], regions=world).coverage()
    assert list(found["country"]) == ["NA", "NO", "all"]
    assert found["nearest_p50_ms"][0] == 10.0
    assert np.isnan(found["measured_demand"][0])


def test_weighted_quantiles_of_groups_by_hand() -> None:
    group = np.array([5, 2, 5, 5, 2, 9])
    value = np.array([3.0, 8.0, 1.0, 2.0, 7.0, 4.0])
    weight = np.array([1.0, 1.0, 1.0, 2.0, 3.0, 0.0])
    found, median = weighted_quantile(group, value, weight, 0.5)
    assert found.tolist() == [2, 5]  # the group without any weight has no median
    assert median.tolist() == [7.0, 2.0]
