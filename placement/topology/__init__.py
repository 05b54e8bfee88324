"""Scenario and measurements to what is known of every (region, site) pair."""

from placement.topology.build import Topology, build_pairs, build_topology
from placement.topology.pairs import Pairs, Provenance, State

__all__ = ["Pairs", "Provenance", "State", "Topology", "build_pairs", "build_topology"]
