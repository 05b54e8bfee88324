"""A folder of tables becomes a validated Scenario."""

from placement.scenario.document import Document
from placement.scenario.findings import Assumed, Finding, ScenarioError
from placement.scenario.load import inspect, load
from placement.scenario.scenario import Report, Scenario

__all__ = ["Assumed", "Document", "Finding", "Report", "Scenario", "ScenarioError", "inspect", "load"]
