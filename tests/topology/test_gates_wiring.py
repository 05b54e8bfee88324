"""What gates leave out is absent from the topology: shown, counted, and never feasible by accident."""

import typing
from datetime import timedelta

import numpy as np
from topology_world import NOON, demand, domains, endpoints, links, record, regions, sites, topology

from placement.scenario.document import Gate, Quality
from placement.topology import State, build_topology
from placement.topology.gates import GATES, quality
from probes.table import to_table

WIDE = regions("r1", "r2", "r3", "r4", "r5")


def test_the_document_knows_every_gate_by_its_name() -> None:
    assert set(typing.get_args(Gate)) == set(GATES)
    assert Quality(off=("anycast",)).off == ("anycast",)


def test_what_is_left_out_is_unknown_and_not_zero() -> None:
    # r5 is 445 km from s1: (445 - 100) / 102.1 = 3.38 ms.
    found = topology([record("r5", "s1", 3.0, 3.1), record("r4", "s1", 30.0)], regions=WIDE)
    assert found.pairs.rtt_state[4, 0] == State.UNKNOWN
    assert np.isnan(found.pairs.planned_rtt_ms[4, 0])
    assert found.pairs.samples[4, 0] == 0
    assert found.pairs.rtt_state[3, 0] == State.MEASURED
    assert found.verdicts.frame[["gate", "source", "records"]].to_numpy().tolist() == [["light", "r5", 1]]
    assert found.summaries["source"].tolist() == ["r4"]
    table = quality(found.verdicts).set_index("gate")
    assert (table.loc["light", "excluded"], table.loc["light", "flagged"]) == (1, 0)
    assert table.loc["light", "worst"].startswith("r5 to s1 took 3 ms")
    assert list(table.index) == list(GATES)


def test_a_name_that_maps_nowhere_is_counted_whatever_the_gates_say() -> None:
    found = topology([record("nobody", "s1", 0.01), record("r5", "s1", 0.01)], regions=WIDE)
    assert found.unmapped == {"nobody": 1}


def test_an_excluded_way_round_leaves_the_other_method() -> None:
    # TCP is answered by something beside the source; ICMP goes there.
    found = topology([record("r5", "s1", 0.5, method="tcp"), record("r5", "s1", 20.0)], regions=WIDE)
    assert (found.pairs.planned_rtt_ms[4, 0], found.pairs.samples[4, 0]) == (20.0, 1)


def test_days_that_are_left_out_are_not_merged() -> None:
    # Ten days of 20 ms; two of them in microseconds. Another pair's days are its own.
    days = [NOON + timedelta(days=i) for i in range(10)]
    slipped = [
        record("r5", "s1", *([20_000.0 + i, 21_000.0] if i in (3, 4) else [20.0 + i / 10, 21.0]), at=day)
        for i, day in enumerate(days)
    ]
    found = topology(
        [*slipped, *[record("r4", "s1", 5.0 + i / 10, at=day) for i, day in enumerate(days)]], regions=WIDE
    )
    assert found.verdicts.frame[["gate", "source", "records"]].to_numpy().tolist() == [["units", "r5", 2]]
    assert (found.pairs.samples[4, 0], found.pairs.samples[3, 0]) == (16, 10)
    assert found.pairs.rtt_p95_ms[4, 0] <= 21.0
    assert found.pairs.rtt_base_ms[4, 0] == 20.0


def test_a_gate_that_is_off_lets_everything_pass_and_says_so() -> None:
    tables = {
        "regions": WIDE, "sites": sites("s1"), "endpoints": endpoints(), "links": links(), "demand": demand(),
        "domains": domains(),
    }  # fmt: skip
    found = build_topology(to_table([record("r5", "s1", 3.0)]), tables, off=("light",))
    assert found.pairs.rtt_state[4, 0] == State.MEASURED
    assert quality(found.verdicts).set_index("gate").loc["light", "state"] == "off"


def test_a_region_whose_ends_stand_at_many_places_is_not_judged_by_light() -> None:
    table = endpoints(("x", "probe", "r1", "", None), ("x", "probe", "r5", "", None))
    found = topology([record("x", "s1", 0.1)], regions=WIDE, endpoints=table)
    assert len(found.verdicts.frame) == 0
    assert (found.pairs.rtt_state[[0, 4], 0] == State.MEASURED).all()
    assert sites("s1")["longitude"][0] == 0.0
