"""Two topologies beside each other: what moved between them, and whether a plan still holds."""

from placement.topology.drift.moves import Change, Drift, drift

__all__ = ["Change", "Drift", "drift"]
