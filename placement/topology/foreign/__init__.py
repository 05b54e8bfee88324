"""Graphs that others drew (Topology Zoo, SNDlib, topohub) to places and links: files that nobody here wrote."""

from placement.topology.foreign.network import Leg, Network, Place, UnreadableGraphError
from placement.topology.foreign.reading import read_network

__all__ = ["Leg", "Network", "Place", "UnreadableGraphError", "read_network"]
