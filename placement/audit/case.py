"""What every rule looks at: the scenario's facts with the lookups built on them, one case for each period."""

from dataclasses import dataclass

from placement.audit.facts import Facts, read_facts
from placement.audit.hosting import Hosting
from placement.audit.network import Network
from placement.audit.periods import Period, read_periods
from placement.audit.prices import Prices
from placement.audit.residency import Residency, read_residency
from placement.scenario import Scenario
from placement.topology.pairs import Pairs


@dataclass(frozen=True)
class Case:
    """One period of a scenario and its pairs, ready to hold the plan of that period against."""

    scenario: Scenario
    period: Period
    periods: tuple[Period, ...]  # all of them
    facts: Facts
    network: Network
    residency: Residency
    prices: Prices
    hosting: Hosting


def open_cases(scenario: Scenario, pairs: Pairs) -> tuple[Case, ...]:
    """The cases of all periods in their order; what does not differ between periods is read once."""
    periods = read_periods(scenario)
    facts = read_facts(scenario, [period.name for period in periods])
    network, hosting, residency = Network(pairs, facts[0]), Hosting(facts[0]), read_residency(scenario)
    return tuple(
        Case(scenario, period, periods, of_period, network, residency, Prices(of_period), hosting)
        for period, of_period in zip(periods, facts, strict=True)
    )


def open_case(scenario: Scenario, pairs: Pairs) -> Case:
    """The case of the first period, which is the only one of a scenario without periods."""
    return open_cases(scenario, pairs)[0]
