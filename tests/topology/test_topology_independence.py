"""The topology does not depend on the order of records, on how files are split, nor on the order of tables."""

from dataclasses import fields
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st
from topology_world import NOON, demand, endpoints, links, record, regions, sites, topology

from placement.topology import Topology
from placement.topology.export import pairs_table
from probes.record import Record
from probes.store import read_folder, write_records
from probes.table import to_table

NAMES = ("r1", "r2", "s1", "s2", "s3", "probe", "QA1", "nobody")
ENDS = endpoints(
    ("probe", "probe", "r1", "", 2.0), ("probe", "probe", "", "s2", None), ("QA1", "asn", "r2", "", 1.0),
    ("QA1", "asn", "", "s3", 1.0), ("QA1", "asn", "r1", "", 1.0),
)  # fmt: skip
BACKBONE = links(("s1", "s2", 3.3, 100.0), ("s3", "s2", 7.7, None), ("s1", "s3", 9.1, 40.0))
TIMES = st.floats(0.01, 400.0, allow_nan=False).map(lambda v: round(v, 3))


@st.composite
def some_records(draw: st.DrawFn) -> list[Record]:
    """Records of every kind between a few names: lists of samples, quantiles, averages, rates, losses."""
    found = []
    for _ in range(draw(st.integers(1, 20))):
        source, target = draw(st.sampled_from(NAMES)), draw(st.sampled_from(NAMES))
        method = draw(st.sampled_from(("icmp", "tcp", "http", "imported:x")))
        kind = draw(st.integers(0, 4))
        if kind == 0:
            times = draw(st.lists(TIMES, min_size=1, max_size=5))
            found.append(record(source, target, *times, method=method, sent=len(times) + 1, at=NOON))
        elif kind == 1:
            low, middle, high = sorted(draw(st.tuples(TIMES, TIMES, TIMES)))
            count = draw(st.integers(1, 30))
            more = {"rtt_min_ms": low, "rtt_p50_ms": middle, "rtt_p95_ms": high}
            found.append(record(source, target, method=method, sent=count, received=count, **more))
        elif kind == 2:
            count = draw(st.integers(1, 30))
            spread = draw(TIMES)
            more = {"rtt_avg_ms": draw(TIMES), "rtt_std_ms": spread}
            found.append(record(source, target, method=method, sent=count, received=count, **more))
        elif kind == 3:
            found.append(record(source, target, method="train", mbps=draw(TIMES), direction="up"))
        else:
            found.append(record(source, target, method=method, sent=3, received=0))
    return found


def world(records: object, shuffle: np.random.Generator | None = None) -> Topology:
    tables: dict[str, pd.DataFrame] = {
        "regions": regions("r1", "r2"), "sites": sites("s1", "s2", "s3"), "endpoints": ENDS, "links": BACKBONE,
        "demand": demand(("r1", 3.0), ("r2", 1.0)),
    }  # fmt: skip
    if shuffle is not None:
        tables = {name: table.iloc[shuffle.permutation(len(table))] for name, table in tables.items()}
    return topology(records, **tables)


def same(one: Topology, other: Topology) -> None:
    for field in fields(one.pairs):
        np.testing.assert_array_equal(getattr(one.pairs, field.name), getattr(other.pairs, field.name), field.name)
    pd.testing.assert_frame_equal(one.summaries, other.summaries, check_exact=True)
    pd.testing.assert_frame_equal(one.coverage(), other.coverage(), check_exact=True)
    assert one.unmapped == other.unmapped
    assert pairs_table(one.pairs).equals(pairs_table(other.pairs))


@settings(max_examples=8, deadline=None)
@given(some_records(), st.randoms(use_true_random=False), st.integers(0, 2**32 - 1))
def test_order_and_split_of_files_change_nothing(records: list[Record], random, seed: int) -> None:  # type: ignore[no-untyped-def]
    whole = world(to_table(records))
    shuffled = records.copy()
    random.shuffle(shuffled)
    same(whole, world(to_table(shuffled), np.random.default_rng(seed)))
    cut = random.randint(0, len(records))
    with TemporaryDirectory() as name:
        for part in (shuffled[:cut], shuffled[cut:]):
            if part:
                write_records(Path(name), to_table(part))
        # Records without a key that are alike in all are alike in one file, and one file in another is the same file.
        if len({*map(repr, records)}) == len(records):
            same(whole, world(read_folder(Path(name))))


@settings(max_examples=10, deadline=None)
@given(some_records())
def test_every_pair_is_in_one_state_and_its_figures_fit_it(records: list[Record]) -> None:
    pairs = world(to_table(records)).pairs
    unknown, inferred, measured = (pairs.rtt_state == state for state in (0, 1, 2))
    assert (unknown ^ inferred ^ measured).all()
    assert np.isnan(pairs.planned_rtt_ms[unknown]).all()
    assert np.isnan(pairs.rtt_p95_ms[~measured]).all()
    assert (pairs.rtt_provenance[unknown] == 0).all()
    assert (pairs.rtt_provenance[measured] == 1).all()
    assert (pairs.rtt_provenance[inferred] > 0).all()
    assert (pairs.rtt_lower_ms[~unknown] <= pairs.rtt_upper_ms[~unknown]).all()
    assert (pairs.rtt_upper_ms[~unknown] > 0).all()
    assert (np.isnan(pairs.mbps) == (pairs.mbps_state == 0)).all()
