"""Topologies of the same inputs are worked out once for all nights: a tiny one takes half of a tiny night."""

import pytest

import placement.topology
from placement.scenario import Scenario
from placement.topology import Topology

built: dict[tuple[tuple[str, str], ...], Topology] = {}
build = placement.topology.build_pairs


@pytest.fixture(autouse=True)
def topologies_are_built_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def known(scenario: Scenario) -> Topology:
        key = tuple(sorted({**scenario.sha256, "document": scenario.document.model_dump_json()}.items()))
        if key not in built:
            built[key] = build(scenario)
        return built[key]

    monkeypatch.setattr("placement.topology.build_pairs", known)
