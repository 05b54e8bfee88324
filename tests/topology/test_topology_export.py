"""The topology as a graph and as files, read back by other means."""

from pathlib import Path

import networkx as nx
import pandas as pd
import pytest
from topology_world import links, record, topology

from placement.topology import Topology
from placement.topology.export import write_graphml, write_pairs
from placement.topology.graph import as_networkx


def edges(graph: nx.MultiGraph) -> list[tuple[str, str, list[tuple[str, object]]]]:
    return sorted((*sorted((a, b)), sorted(data.items())) for a, b, data in graph.edges(data=True))


@pytest.fixture
def found() -> Topology:
    records = [record("r1", "s1", 10.0, 12.0), record("r2", "s2", method="train", mbps=50.0, direction="up")]
    return topology(records, links=links(("s1", "s2", 5.0, None)))


def test_the_graph_has_every_place_link_and_known_pair(found: Topology) -> None:
    graph = as_networkx(found)
    places = ["region:r1", "region:r2", "site:s1", "site:s2"]
    assert list(graph.nodes) == [*places, "metro:around-s1", "metro:around-s2"]  # a degree apart is too far for one
    assert graph.nodes["region:r2"]["users"] == 200.0
    assert graph.edges["site:s1", "site:s2", 0] == {"kind": "link", "rtt_ms": 5.0}
    measured = graph.edges["region:r1", "site:s1", 0]
    assert (measured["rtt_state"], measured["rtt_base_ms"], measured["samples"]) == ("measured", 10.0, 2)
    assert (measured["mbps_state"], measured["mbps_provenance"]) == ("unknown", "none")
    assert "via" not in measured
    over_link = graph.edges["region:r1", "site:s2", 0]
    assert (over_link["rtt_state"], over_link["rtt_provenance"], over_link["via"]) == ("inferred", "path", "site:s1")
    assert "rtt_p95_ms" not in over_link
    assert graph.edges["region:r2", "site:s2", 0]["mbps"] == 50.0
    assert graph.edges["region:r2", "site:s2", 0]["mbps_provenance"] == "direct"
    assert not graph.has_edge("region:r2", "site:s1")
    assert graph.edges["region:r2", "metro:around-s2", 0] == {"kind": "within"}


def test_graphml_reads_back_as_the_same_as_networkx(found: Topology, tmp_path: Path) -> None:
    path = tmp_path / "deep" / "topology.graphml"
    write_graphml(found, path)
    back = nx.read_graphml(path, force_multigraph=True)
    assert dict(back.nodes(data=True)) == dict(as_networkx(found).nodes(data=True))
    assert edges(back) == edges(as_networkx(found))
    assert [entry.name for entry in path.parent.iterdir()] == ["topology.graphml"]


def test_pairs_in_parquet_are_null_where_nothing_is_known(found: Topology, tmp_path: Path) -> None:
    path = tmp_path / "pairs.parquet"
    write_pairs(found, path)
    table = pd.read_parquet(path)
    assert list(zip(table["region"], table["site"], table["rtt_state"], strict=True)) == [
        ("r1", "s1", "measured"), ("r1", "s2", "inferred"), ("r2", "s1", "unknown"), ("r2", "s2", "unknown"),
    ]  # fmt: skip
    assert [None if pd.isna(way) else way for way in table["via"]] == [None, "site:s1", None, None]
    assert table["mbps_provenance"].tolist() == ["none", "none", "none", "direct"]
    assert table["rtt_upper_ms"].isna().tolist() == [False, False, True, True]
    assert table["mbps"].tolist()[3] == 50.0
    assert table["mbps_state"].tolist() == ["unknown", "unknown", "unknown", "measured"]


def test_the_same_pairs_give_the_same_bytes(found: Topology, tmp_path: Path) -> None:
    for name in ("one", "other"):
        write_pairs(found, tmp_path / f"{name}.parquet")
        write_graphml(found, tmp_path / f"{name}.graphml")
    for kind in ("parquet", "graphml"):
        assert (tmp_path / f"one.{kind}").read_bytes() == (tmp_path / f"other.{kind}").read_bytes()


def test_a_write_that_fails_leaves_what_was_there(
    found: Topology, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "pairs.parquet"
    path.write_bytes(b"yesterday's")

    def fail(*_: object, **__: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("placement.topology.export.pq.write_table", fail)
    with pytest.raises(OSError, match="disk full"):
        write_pairs(found, path)
    assert [(entry.name, entry.read_bytes()) for entry in tmp_path.iterdir()] == [("pairs.parquet", b"yesterday's")]
