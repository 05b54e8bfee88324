"""A folder of tables becomes a validated Scenario."""

from placement.scenario.document import Document
from placement.scenario.findings import Assumed, Finding, ScenarioError
from placement.scenario.load import inspect, load
from placement.scenario.rules import RuleOn, rules_on
from placement.scenario.scenario import Report, Scenario
from placement.scenario.template import copy_dataset, write_template

__all__ = [
    "Assumed",
    "Document",
    "Finding",
    "Report",
    "RuleOn",
    "Scenario",
    "ScenarioError",
    "copy_dataset",
    "inspect",
    "load",
    "rules_on",
    "write_template",
]
