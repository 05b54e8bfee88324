"""Rule 3, for the auditor: where a class may be served."""

import csv
from dataclasses import dataclass

from placement.audit.facts import Facts, Key, rows
from placement.datasets import dataset
from placement.scenario import Scenario


@dataclass(frozen=True)
class ResidencySet:
    """What one residency set allows: entries for the place, and for the vendor where it has any."""

    places: frozenset[str]
    vendors: frozenset[str]


@dataclass(frozen=True)
class Residency:
    """All residency sets of a scenario; `sets` is None where the scenario has no such table, and the rule is off."""

    sets: dict[str, ResidencySet] | None
    default: str
    blocs: dict[str, frozenset[str]]

    def set_of(self, facts: Facts, key: Key) -> str:
        """The set that binds a class: its demand row's, else its service's, else the scenario's."""
        return facts.demand[key].residency or facts.services[key[2]].residency or self.default

    def allows(self, facts: Facts, key: Key, site: str) -> bool:
        """Whether the class may be served at the site. A set that is not defined allows nothing."""
        return self.allows_set(
            self.set_of(facts, key), facts.countries[key[0]], facts.sites[site].country, facts.sites[site].vendor
        )

    def allows_set(self, name: str, home: str, country: str, vendor: str) -> bool:
        """Whether the set `name` lets users of the country `home` be served in `country` by a vendor of `vendor`."""
        bound = (self.sets or {}).get(name)
        if bound is None:
            return self.sets is None
        if not self._listed(bound.places, home, country):
            return False
        return not bound.vendors or self._listed(bound.vendors, home, vendor)

    def _listed(self, entries: frozenset[str], home: str, country: str) -> bool:
        if "@any" in entries or country in entries or ("@own" in entries and country == home):
            return True
        return any(country in self.blocs.get(e.removeprefix("@bloc:"), ()) for e in entries if e.startswith("@bloc:"))


def read_residency(scenario: Scenario) -> Residency:
    """The residency sets of the scenario, with the members of the blocs that the bundled table of the world gives."""
    default = scenario.document.limits.default_residency
    if not scenario.has("residency"):
        return Residency(None, default, {})
    places: dict[str, set[str]] = {}
    vendors: dict[str, set[str]] = {}
    for row in rows(scenario, "residency"):
        (vendors if row["scope"] == "vendor" else places).setdefault(row["residency"], set()).add(row["country"])
    # a set that lists vendors alone names no place, and so allows none
    sets = {name: ResidencySet(frozenset(places[name]), frozenset(vendors.get(name, ()))) for name in places}
    uses_blocs = any(entry.startswith("@bloc:") for one in sets.values() for entry in one.places | one.vendors)
    return Residency(sets, default, _blocs() if uses_blocs else {})


def _blocs() -> dict[str, frozenset[str]]:
    members: dict[str, set[str]] = {}
    with (dataset("world") / "blocs.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            members.setdefault(row["bloc"], set()).add(row["country"])
    return {bloc: frozenset(countries) for bloc, countries in members.items()}
