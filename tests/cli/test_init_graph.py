"""`nearserve init --graph` as a new user meets it."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from placement.cli import main

GRAPH = {
    "graph": {"name": "Pair"},
    "nodes": [{"id": 0, "name": "Berlin", "pos": [13.4, 52.5]}, {"id": 1, "name": "Lyon", "pos": [4.85, 45.75]},
              {"id": 2, "name": "Nowhere"}],
    "edges": [{"source": 0, "target": 1}, {"source": 1, "target": 1}],
}  # fmt: skip


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments], catch_exceptions=False)


@pytest.fixture
def graph(tmp_path: Path) -> Path:
    path = tmp_path / "pair.json"
    path.write_text(json.dumps(GRAPH))
    return path


def test_a_graph_becomes_a_scenario_that_check_and_topology_accept(graph: Path, tmp_path: Path) -> None:
    made = run("init", tmp_path / "world", "--graph", graph)
    assert made.exit_code == 0
    assert "note: 1 nodes without coordinates left out, with 0 edges: Nowhere" in made.stderr
    assert "note: 1 edges from a node to itself left out" in made.stderr
    assert "most figures are assumed" in made.stdout
    checked = run("check", tmp_path / "world")
    assert checked.exit_code == 0
    assert "pair: valid" in checked.stdout
    coverage = json.loads(run("topology", tmp_path / "world", "--format", "json").stdout)["coverage"]
    assert (coverage[-1]["inferred"], coverage[-1]["unknown"]) == (4, 0)


def test_notes_are_in_the_json_too(graph: Path, tmp_path: Path) -> None:
    said = json.loads(run("init", tmp_path / "world", "--graph", graph, "--format", "json").stdout)
    assert len(said["notes"]) == 2
    assert "links.csv" in said["files"]


def test_what_is_wrong_with_a_file_is_said_and_nothing_is_written(tmp_path: Path) -> None:
    path = tmp_path / "bad.json"
    broken = {**GRAPH, "nodes": [{"id": 0, "name": "N1", "pos": [283, 248]}, *GRAPH["nodes"][1:]]}  # type: ignore[misc]
    path.write_text(json.dumps(broken))
    said = run("init", tmp_path / "world", "--graph", path)
    assert said.exit_code == 4
    assert "nearserve: bad.json: 1 of 3 nodes lie on no globe: node 'N1' has latitude 248, longitude 283" in said.stderr
    assert not (tmp_path / "world").exists()


@pytest.mark.parametrize("options", [("--graph", "{graph}", "--from", "edge"), ("--mbps-per-unit", "2")])
def test_options_that_do_not_go_together_are_refused(graph: Path, tmp_path: Path, options: tuple[str, ...]) -> None:
    said = run("init", tmp_path / "world", *(option.format(graph=graph) for option in options))
    assert said.exit_code == 2
    assert not (tmp_path / "world").exists()
