"""Which pairs become edges, metros, what sites measured of each other, and names that XML must not trip over."""

from pathlib import Path

import networkx as nx
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from topology_world import domains, endpoints, links, record, regions, sites, topology

from placement.topology import State
from placement.topology.elements import Selection
from placement.topology.export import write_graphml
from placement.topology.graph import as_networkx
from placement.topology.metros import metros


def pairs_of(graph: nx.MultiGraph) -> list[tuple[str, str]]:
    return [(a[7:], b[5:]) for a, b, kind in graph.edges(data="kind") if kind == "pair"]


def placed(*rows: tuple[str, str, float]) -> pd.DataFrame:
    """Sites on the equator: name, country, degrees east. 0.4 degrees are 44 km."""
    table = pd.DataFrame(rows, columns=["site", "country", "longitude"])
    return table.assign(latitude=0.0, name=table["site"])


def test_a_selection_takes_states_regions_sites_and_the_nearest() -> None:
    records = [
        record("r1", "s1", 30.0), record("r1", "s2", 10.0), record("r2", "s1", 5.0), record("r1", "s3", 20.0),
        record("r2", "s3", method="train", mbps=5.0, direction="up"),
    ]  # fmt: skip
    found = topology(records, sites=sites("s1", "s2", "s3"), links=links(("s1", "s2", 2.0, None)))

    def edges(**wanted: object) -> list[tuple[str, str]]:
        return pairs_of(as_networkx(found, Selection(**wanted)))  # type: ignore[arg-type]

    everything = [("r1", "s1"), ("r1", "s2"), ("r1", "s3"), ("r2", "s1"), ("r2", "s2"), ("r2", "s3")]
    assert edges() == everything
    assert edges(states=[State.MEASURED]) == everything[:4]
    assert edges(states=[State.INFERRED, State.UNKNOWN]) == everything[4:]
    assert edges(regions=["r2"]) == everything[3:]
    assert edges(sites=["s1", "s3"], regions=["r1"]) == [("r1", "s1"), ("r1", "s3")]
    assert edges(nearest=1) == [("r1", "s2"), ("r2", "s1")]
    assert edges(nearest=2) == [("r1", "s2"), ("r1", "s3"), ("r2", "s1"), ("r2", "s2")]
    assert edges(nearest=1, states=[State.INFERRED]) == [("r2", "s2")]
    with pytest.raises(KeyError, match="there is no r7"):
        edges(regions=["r1", "r7"])


def test_metros_are_those_of_the_domains_table_and_else_sites_near_the_first_of_them() -> None:
    world = placed(("a", "EC", 0.0), ("b", "EC", 0.4), ("c", "EC", 0.8), ("d", "CO", 0.1), ("e", "EC", 9.0))
    table = domains(("south", "e", "metro"), ("grid-ec", "a", "grid"), ("south", "nowhere", "metro"))
    found = metros(regions("r1", "r2"), world, table)
    # b is within 50 km of a, and c of b but not of a: what is chained is no metro; d is abroad.
    assert found.frame[["metro", "source", "country"]].values.tolist() == [
        ["around-a", "distance", "EC"], ["around-c", "distance", "EC"], ["around-d", "distance", "CO"],
        ["south", "domains", "EC"],
    ]  # fmt: skip
    assert found.frame["longitude"].tolist() == pytest.approx([0.2, 0.8, 0.1, 9.0])
    members = found.members.values.tolist()
    assert ["around-a", "region", 0] in members  # r1 lies at 0, r2 at 1 degree: 22 km from c
    assert ["around-c", "region", 1] in members
    assert [row[::2] for row in members if row[1] == "site"] == [
        ["around-a", 0], ["around-a", 1], ["around-c", 2], ["around-d", 3], ["south", 4]
    ]  # fmt: skip


def test_a_site_across_the_date_line_is_as_near_as_it_is() -> None:
    found = metros(regions(), placed(("a", "FJ", 179.9), ("b", "FJ", -179.9)), domains())
    assert found.frame["metro"].tolist() == ["around-a"]
    assert abs(found.frame["longitude"][0]) == pytest.approx(180.0)


@pytest.mark.parametrize("seed", range(3))
def test_metros_agree_with_plain_loops(seed: int) -> None:
    random = np.random.default_rng(seed)
    world = placed(*[(f"s{i:02d}", random.choice(["A", "B"]), float(random.uniform(0, 4))) for i in range(40)])
    expected: dict[str, str] = {}
    for row in world.itertuples():
        mine = [h for h in expected.values() if world.set_index("site").loc[h, "country"] == row.country]
        away = {head: abs(row.longitude - world.set_index("site").loc[head, "longitude"]) * 111.195 for head in mine}
        near = min(away, key=lambda head: away[head]) if away else None
        expected[row.site] = near if near is not None and away[near] <= 50.0 else row.site
    found = metros(regions(), world, domains()).members
    assert {world["site"][p]: m[7:] for m, p in zip(found["metro"], found["place"], strict=True)} == expected


def test_what_sites_measured_of_each_other_is_an_edge() -> None:
    rates = [record("s1", "s2", method="ndt7", mbps=m, direction=way) for m, way in ((50.0, "up"), (9.0, "down"))]
    graph = as_networkx(topology([record("s2", "s1", 20.0), *rates]))
    edge = next(data for _, _, data in graph.edges(data=True) if data["kind"] == "between")
    assert (edge["rtt_state"], edge["rtt_p95_ms"], edge["mbps_state"], edge["mbps"]) == (
        "measured",
        20.0,
        "measured",
        9,
    )
    only_rtt = as_networkx(topology([record("s2", "s1", 20.0)])).edges["site:s1", "site:s2", 0]
    assert only_rtt["mbps_state"] == "unknown"
    assert "mbps" not in only_rtt


# Text that XML may hold; a control character is written as the sign for "unknown", and a bare return ends a line.
NAMES = st.text(st.characters(exclude_categories=["Cs", "Cc", "Cn"]), min_size=1, max_size=8)


@settings(max_examples=6, deadline=None)
@given(st.lists(NAMES, min_size=16, max_size=20, unique=True))
def test_any_name_reads_back_from_graphml(tmp_path_factory: pytest.TempPathFactory, names: list[str]) -> None:
    found = topology([record(names[0], names[1], 10.0)], regions=regions(names[0]), sites=sites(*names[1:]))
    path = tmp_path_factory.mktemp("names") / "graph.graphml"
    write_graphml(found, path)
    back, graph = nx.read_graphml(path, force_multigraph=True), as_networkx(found)
    assert dict(back.nodes(data=True)) == dict(graph.nodes(data=True))
    assert back.number_of_edges() == graph.number_of_edges()


def test_a_name_with_markup_or_a_control_character_breaks_no_file(tmp_path: Path) -> None:
    names = ('</node>"&<x>', "bell\x07")
    write_graphml(topology([record(names[0], "s1", 10.0)], regions=regions(*names)), tmp_path / "g.graphml")
    back = nx.read_graphml(tmp_path / "g.graphml", force_multigraph=True)
    assert f"region:{names[0]}" in back
    assert "region:bell\ufffd" in back


def test_endpoints_of_a_site_speak_for_it_between_sites() -> None:
    table = endpoints(("198.51.100.1", "address", "", "s1", None), ("198.51.100.2", "address", "", "s2", None))
    found = topology([record("198.51.100.1", "198.51.100.2", 20.0)], endpoints=table).between
    assert found[["source", "target"]].values.tolist() == [[0, 1], [1, 0]]
