"""Scenario and pairs to a Problem of arrays, and the names to read its solution by."""

from placement.problem.build import build_problem, demand_rows
from placement.problem.names import DemandRow, Names, Offer

__all__ = ["DemandRow", "Names", "Offer", "build_problem", "demand_rows"]
