"""What gates leave out is absent from the topology: shown, counted, and never feasible by accident."""

import typing

import numpy as np
from topology_world import endpoints, record, regions, sites, topology

from placement.scenario.document import Gate, Quality
from placement.topology import State
from placement.topology.gates import GATES, quality

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


def test_a_region_whose_ends_stand_at_many_places_is_not_judged_by_light() -> None:
    table = endpoints(("x", "probe", "r1", "", None), ("x", "probe", "r5", "", None))
    found = topology([record("x", "s1", 0.1)], regions=WIDE, endpoints=table)
    assert len(found.verdicts.frame) == 0
    assert (found.pairs.rtt_state[[0, 4], 0] == State.MEASURED).all()
    assert sites("s1")["longitude"][0] == 0.0
