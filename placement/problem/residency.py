"""Rule 3: where a class may be served, by the site's country and, if the set says so, its vendor's."""

from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from placement.datasets import dataset
from placement.frames import Row
from placement.scenario import Scenario

Bool = NDArray[np.bool_]


@dataclass(frozen=True)
class Residency:
    """Where the sets of a scenario allow users of a country to be served, each worked out once."""

    scenario: Scenario
    _known: dict[tuple[str, str], Bool] = field(default_factory=dict, repr=False, compare=False)

    def allows(self, name: str, home: str) -> Bool:
        """Sites that the set `name` allows for users (or data) of the country `home`, P; not to be changed."""
        if (name, home) not in self._known:
            self._known[name, home] = set_allows(self.scenario, name, home)
        return self._known[name, home]

    def of_rows(self, rows: pd.DataFrame, service: Row) -> Bool:
        """Which sites may serve which of the demand `rows` of one service, G × P; all where there is no rule."""
        scenario = self.scenario
        if not scenario.has("residency"):
            return np.ones((len(rows), len(scenario.table("sites"))), np.bool_)
        fallback = service["residency"] or scenario.document.limits.default_residency
        names = rows["residency"].where(rows["residency"] != "", fallback)
        homes = rows["region"].map(scenario.table("regions").set_index("region")["country"])
        codes, distinct = pd.factorize(pd.MultiIndex.from_arrays([names, homes]))
        masks = np.array([self.allows(str(name), str(home)) for name, home in distinct])
        return np.asarray(masks[codes], np.bool_)


def set_allows(scenario: Scenario, name: str, home: str) -> Bool:
    """Sites that the set `name` allows for users (or data) of the country `home`, P."""
    sites = scenario.table("sites")
    rules = scenario.table("residency")
    rules = rules[rules["residency"] == name]
    mask = np.asarray(_listed(sites["country"], rules[rules["scope"] != "vendor"]["country"], home))
    vendors = rules[rules["scope"] == "vendor"]["country"]
    return mask & _listed(sites["vendor_jurisdiction"], vendors, home) if len(vendors) else mask


def _listed(countries: pd.Series, listed: pd.Series, home: str) -> Bool:
    """Which of `countries` the rule's entries name: ISO codes, `@own`, `@bloc:NAME`, `@any`."""
    if (listed == "@any").any():
        return np.ones(len(countries), np.bool_)
    names = set(listed[~listed.str.startswith("@")]) | ({home} if (listed == "@own").any() else set())
    blocs = {entry.removeprefix("@bloc:") for entry in listed if entry.startswith("@bloc:")}
    if blocs:
        members = pd.read_csv(dataset("world") / "blocs.csv", keep_default_na=False)
        names |= set(members.loc[members["bloc"].isin(blocs), "country"])
    return np.asarray(countries.isin(names), np.bool_)
