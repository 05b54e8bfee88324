"""A scenario, its topology and, if there is one, its plan to the pairs that are worth measuring next."""

from placement.needs.pairs import Need, Needs, needs

__all__ = ["Need", "Needs", "needs"]
