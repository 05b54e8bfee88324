"""Graphs that others drew: one small network in every format, what is wrong by name, and files that mean harm."""

import json
import tempfile
import zipfile
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import reference_data

from placement.topology.foreign import Leg, Network, Place, UnreadableGraphError, read_network, reading

GRAPHML = """<?xml version="1.0" encoding="utf-8"?>
<graphml xmlns="http://graphml.graphdrawing.org/xmlns">
  <key attr.name="label" attr.type="string" for="node" id="d1"/>
  <key attr.name="Latitude" attr.type="double" for="node" id="d2"/>
  <key attr.name="Longitude" attr.type="double" for="node" id="d3"/>
  <key attr.name="LinkSpeedRaw" attr.type="double" for="edge" id="d4"/>
  <graph edgedefault="undirected">
    <node id="0"><data key="d1">Berlin</data><data key="d2">52.5</data><data key="d3">13.4</data></node>
    <node id="1"><data key="d1">Lyon</data><data key="d2">45.75</data><data key="d3">4.85</data></node>
    <node id="2"><data key="d1">Windhoek</data><data key="d2">-22.5</data><data key="d3">17</data></node>
    <edge source="0" target="1"><data key="d4">10000000000</data></edge>
    <edge source="1" target="2"/>
  </graph>
</graphml>"""
GML = """graph [
  label "small"
  node [ id 0 label "Berlin" Latitude 52.5 Longitude 13.4 ]
  node [ id 1 label "Lyon" Latitude 45.75 Longitude 4.85 ]
  node [ id 2 label "Windhoek" Latitude -22.5 Longitude 17.0 ]
  edge [ source 0 target 1 LinkSpeedRaw 10000000000.0 ]
  edge [ source 1 target 2 LinkLabel "who knows" ]
]"""
XML = """<?xml version="1.0" encoding="ISO-8859-1"?>
<network xmlns="http://sndlib.zib.de/network" version="1.0">
  <networkStructure>
    <nodes coordinatesType="geographical">
      <node id="Berlin"><coordinates><x>13.4</x><y>52.5</y></coordinates></node>
      <node id="Lyon"><coordinates><x>4.85</x><y>45.75</y></coordinates></node>
      <node id="Windhoek"><coordinates><x>17.0</x><y>-22.5</y></coordinates></node>
    </nodes>
    <links>
      <link id="L1"><source>Berlin</source><target>Lyon</target>
        <preInstalledModule><capacity>40.0</capacity><cost>0.0</cost></preInstalledModule></link>
      <link id="L2"><source>Lyon</source><target>Windhoek</target>
        <additionalModules><addModule><capacity>155.0</capacity><cost>7</cost></addModule></additionalModules></link>
    </links>
  </networkStructure>
  <demands>
    <demand id="D1"><source>Berlin</source><target>Windhoek</target>
      <routingUnit>2</routingUnit><demandValue>30.0</demandValue></demand>
    <demand id="D2"><source>Berlin</source><target>Windhoek</target>
      <routingUnit>1</routingUnit><demandValue>5.0</demandValue></demand>
  </demands>
</network>"""
NATIVE = """?SNDlib native format; type: network; version: 1.0
# a comment
META (
  granularity = one
)
NODES (
  Berlin ( 13.40 52.50 )
  Lyon (4.85 45.75)   # another
  Windhoek ( 17.0 -22.50 )
)
LINKS (
  L1 ( Berlin Lyon ) 40.00 0.00 0.00 0.00 ( 155.00 7.00 )
  L2 ( Lyon Windhoek ) 0.00 0.00 0.00 0.00 ( 155.00 7.00 622.00 20.00 )
)
DEMANDS (
  D1 ( Berlin Windhoek ) 2 30.00 UNLIMITED
  D2 ( Berlin Windhoek ) 1 5.00 UNLIMITED
)
"""
NODE_LINK = {
    "directed": False, "multigraph": False,
    "graph": {"name": "small", "demands": {"0": {"2": 65.0}}},
    "nodes": [
        {"id": 0, "name": "Berlin", "pos": [13.4, 52.5]}, {"id": 1, "name": "Lyon", "pos": [4.85, 45.75]},
        {"id": 2, "name": "Windhoek", "pos": [17.0, -22.5]},
    ],
    "edges": [{"source": 0, "target": 1, "dist": 977.0}, {"source": 1, "target": 2}],
}  # fmt: skip
BOMB = """<?xml version="1.0"?>
<!DOCTYPE graphml [<!ENTITY a "ha"> <!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">
<!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;">]>
<graphml><graph><node id="&c;"/></graph></graphml>"""


def read(text: str | bytes, name: str = "small.graph") -> Network:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return read_network(path)


def problems(text: str | bytes) -> str:
    with pytest.raises(UnreadableGraphError) as caught:
        read(text)
    assert all(problem.startswith("small.graph: ") for problem in str(caught.value).splitlines())
    return str(caught.value)


def changed(**change: object) -> str:
    return json.dumps({**NODE_LINK, **change})


def node(key: object, latitude: object, longitude: object, name: str = "x") -> dict[str, object]:
    return {"id": key, "name": name, "pos": [longitude, latitude]}


PLACES = {"Berlin": (52.5, 13.4), "Lyon": (45.75, 4.85), "Windhoek": (-22.5, 17.0)}


@pytest.mark.parametrize(("text", "first"), [
    (GRAPHML, Leg("0", "1", mbps=10_000.0)), (GML, Leg("0", "1", mbps=10_000.0)),
    (XML, Leg("Berlin", "Lyon", units=40.0)),
    (NATIVE, Leg("Berlin", "Lyon", units=40.0)), (json.dumps(NODE_LINK), Leg("0", "1", km=977.0)),
], ids=["graphml", "gml", "sndlib xml", "sndlib native", "node-link"])  # fmt: skip
def test_one_network_reads_the_same_from_every_format(text: str, first: Leg) -> None:
    found = read(text)
    assert {place.label: (place.latitude, place.longitude) for place in found.places} == PLACES
    assert found.legs[0] == first
    label = {place.key: place.label for place in found.places}
    assert [(label[leg.source], label[leg.target]) for leg in found.legs] == [("Berlin", "Lyon"), ("Lyon", "Windhoek")]
    assert (found.legs[1].mbps, found.legs[1].units) == (None, None)  # a module that could be bought is no capacity
    traffic = {(label[a], label[b]): value for (a, b), value in found.traffic.items()}
    assert traffic == ({} if text in (GRAPHML, GML) else {("Berlin", "Windhoek"): 65.0})
    assert found.notes == ()


def test_loops_and_parallel_edges_are_counted_and_the_best_of_parallel_figures_stands() -> None:
    edges = [
        {"source": 0, "target": 1, "dist": 900}, {"source": 1, "target": 0, "dist": 800}, {"source": 2, "target": 2},
        {"source": 0, "target": 1},
    ]  # fmt: skip
    found = read(changed(edges=edges))
    assert found.legs == (Leg("0", "1", km=800.0),)
    assert found.notes == ("1 edges from a node to itself left out", "2 parallel edges taken together with others")


def test_parallel_edges_of_gml_are_read_though_it_does_not_announce_them() -> None:
    twice = GML.replace(
        "edge [ source 1 target 2", "edge [ source 0 target 1 LinkSpeedRaw 40000000000.0 ]\n  edge [ source 1 target 2"
    )
    assert read(twice).legs[0] == Leg("0", "1", mbps=40_000.0)


def test_nodes_that_are_nowhere_are_named_and_never_put_at_zero() -> None:
    nodes = [*NODE_LINK["nodes"], {"id": 3, "name": "Lost"}, node(4, 0, 0, "Null Island"), node(5, None, None, "Blank")]  # type: ignore[misc]
    edges = [*NODE_LINK["edges"], {"source": 3, "target": 0}, {"source": 4, "target": 5}]  # type: ignore[misc]
    about = {"demands": {"0": {"2": 65.0, "3": 7.0}}}
    found = read(changed(nodes=nodes, edges=edges, graph=about))
    assert len(found.places) == 3
    assert len(found.legs) == 2
    assert found.notes[0] == "3 nodes without coordinates left out, with 2 edges: Lost, Null Island, Blank"
    assert found.traffic == {("0", "2"): 65.0}
    assert found.notes[1].startswith("1 demands")


def test_all_that_is_wrong_is_said_at_once_with_node_value_and_mend() -> None:
    nodes = [node(0, 52.5, 13.4), node(0, 1.0, 1.0), node(1, 91.0, 5.0, "Pole"), node(2, 1.0, None, "Half")]
    edges = [{"source": 0, "target": 9}, {"source": 0, "target": 1, "dist": -4}]
    said = problems(changed(nodes=nodes, edges=edges))
    assert "node '0' is there 2 times. Give every node an id of its own" in said
    assert "1 of 4 nodes lie on no globe: node 'Pole' has latitude 91, longitude 5" in said
    assert "node 'Half' has half a position" in said
    assert "an edge leads to node '9', which is not there" in said
    assert "edge '0' to '1' has km -4" in said


def test_pixels_are_no_degrees() -> None:
    assert "coordinatesType is 'pixel'" in problems(XML.replace("geographical", "pixel"))


@pytest.mark.parametrize(("text", "said"), [
    (BOMB, "<!DOCTYPE>"),
    ('<!DOCTYPE graphml SYSTEM "file:///etc/hostname"><graphml/>', "<!DOCTYPE>"),
    ("<graphml>" + "<graph>" * 10_000 + "</graph>" * 10_000 + "</graphml>", "nested more than 64 deep"),
    ("<graphml><graph>", "no XML"), ("<html></html>", "the XML is a <html>"), ("<graphml/>", "no GraphML"),
    ('{"nodes": ' + "[" * 100_000 + "]" * 100_000 + "}", "nested too deeply"),
    ('{"nodes": 1', "no JSON"), ('{"nodes": [1], "edges": []}', "no node-link graph"),
    ('{"nodes": [{"pos": [1, 1]}], "edges": [{}]}', "node 0 has no id"),
    ("graph [\n" * 5_000, "nested too deeply"), ("graph [ node [ id 0 ]", "no GML"),
    ("graph [ node [ id 0 label 1 ] node [ id 0 label 2 ] ]", "no GML"),
    ("?SNDlib native format\nNODES (\n Berlin 13 52\n)", "line 3 is no entry of NODES: 'Berlin 13 52'"),
    (b"graph [ \xff\xfe", "byte 8 is no UTF-8"), ("", "of no format that is known"), ("PK\x03\x04", "of no format"),
    (GRAPHML.replace("52.5", "north"), "no GraphML"),
    (changed(nodes=[node(0, 52.5, 13.4)], edges=[]), "of 1 nodes that is all"),
    (changed(nodes=[node(0, 1e400, 2), node(1, 3, 4)], edges=[]), "half a position"),
])  # fmt: skip
def test_what_is_no_graph_or_means_harm_is_refused_with_the_reason(text: str | bytes, said: str) -> None:
    assert said in problems(text)


def test_a_file_too_large_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "large.json"
    with path.open("wb") as file:
        file.truncate(reading.MOST_BYTES + 1)
    with pytest.raises(UnreadableGraphError, match=r"large\.json: 8,388,609 bytes"):
        read_network(path)


def test_a_label_cannot_move_the_cursor() -> None:
    nodes = [node(0, 1, 2, "\x1b[2Jevil\r\n"), node(1, 3, 4, "y" * 500)]
    assert [place.label for place in read(changed(nodes=nodes, edges=[])).places] == ["[2Jevil", "y" * 80]


@settings(max_examples=60, deadline=None)
@given(st.sampled_from([GRAPHML, GML, XML, NATIVE, json.dumps(NODE_LINK)]), st.data())
def test_a_file_with_a_piece_torn_out_or_doubled_is_read_or_refused(text: str, data: st.DataObject) -> None:
    first = data.draw(st.integers(0, len(text)))
    last = data.draw(st.integers(first, min(len(text), first + 200)))
    times = data.draw(st.sampled_from([0, 2]))
    try:
        found = read(text[:first] + text[first:last] * times + text[last:])
    except UnreadableGraphError as error:
        assert error.problems
    else:
        assert len({place.key for place in found.places}) == len(found.places) >= 2


def test_all_229_of_the_reference_are_read_or_refused_for_their_pixels(tmp_path: Path) -> None:
    """Counts of nodes, edges and demands as the files state them themselves, in `graph.stats`."""
    with zipfile.ZipFile(reference_data() / "topo" / "topozoo_sndlib_topohub.zip") as archive:
        archive.extractall(tmp_path)
    outcome: Counter[str] = Counter()
    for path in sorted(tmp_path.glob("*/*.json")):
        stated = json.loads(path.read_text("utf-8"))
        try:
            found = read_network(path)
        except UnreadableGraphError as error:
            assert "points of a drawing" in str(error)
            outcome[f"{path.parent.name} refused"] += 1
            continue
        outcome[path.parent.name] += 1
        assert len(found.places) == stated["graph"]["stats"]["nodes"]
        assert len(found.legs) == stated["graph"]["stats"]["links"]
        assert found.notes == ()
        keys = {place.key: place for place in found.places}
        assert all(
            (keys[str(n["id"])].longitude, keys[str(n["id"])].latitude) == tuple(n["pos"]) for n in stated["nodes"]
        )
    assert outcome == {"topozoo": 203, "sndlib": 15, "sndlib refused": 11}
    assert isinstance(found.places[0], Place)
