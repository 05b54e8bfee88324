"""What every rule looks at: the scenario's facts with the lookups built on them."""

from dataclasses import dataclass

from placement.audit.facts import Facts, read_facts
from placement.audit.hosting import Hosting
from placement.audit.network import Network
from placement.audit.prices import Prices
from placement.audit.residency import Residency, read_residency
from placement.scenario import Scenario
from placement.topology.pairs import Pairs


@dataclass(frozen=True)
class Case:
    """A scenario and its pairs, ready to hold a plan against."""

    scenario: Scenario
    facts: Facts
    network: Network
    residency: Residency
    prices: Prices
    hosting: Hosting


def open_case(scenario: Scenario, pairs: Pairs) -> Case:
    """Read the tables once."""
    facts = read_facts(scenario)
    return Case(scenario, facts, Network(pairs, facts), read_residency(scenario), Prices(facts), Hosting(facts))
