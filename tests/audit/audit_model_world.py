"""A world by the rows of its tables, as the second opinion on bounds reads it; no module of the auditor."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from placement.scenario import Scenario
from placement.topology.pairs import Pairs

HOURS = 730.0
"""A month."""


@dataclass(frozen=True)
class World:
    scenario: Scenario
    pairs: Pairs

    def rows(self, table: str) -> list[dict[str, Any]]:
        return self.scenario.table(table).to_dict("records")

    @property
    def periods(self) -> list[str]:
        return sorted({row["period"] for row in self.rows("demand")})

    @property
    def months(self) -> list[float]:
        listed = {row["period"]: row["months"] for row in self.rows("periods")}
        return [listed.get(name, 1.0) for name in self.periods]

    def demand(self, period: str) -> list[dict[str, Any]]:
        return [row for row in self.rows("demand") if row["period"] == period]

    @property
    def hours(self) -> dict[str, float]:
        """Hours a month of every slice."""
        return {row["slice"]: row["hours_per_day"] * HOURS / 24 for row in self.rows("slices")} or {"": HOURS}

    @property
    def stands(self) -> list[str]:
        """Slices that replicas are counted in: one for all, or each."""
        return list(self.hours) if self.scenario.document.limits.replicas_follow_slices else ["*"]

    @property
    def services(self) -> dict[str, dict[str, Any]]:
        return {row["service"]: row for row in self.rows("services")}

    def owner(self, service: str) -> str:
        row = self.services[service]
        return row["tenant"] if row["dedicated"] == "yes" else ""

    @property
    def owners(self) -> list[str]:
        return sorted({"", *(self.owner(name) for name in self.services)})


def key_of(row: Any) -> tuple[str, ...]:
    return row["region"], row["model"], row["service"], row["slice"]


def mean_of(row: Any) -> float:
    return float(row["requests_per_s"] if np.isnan(row["mean_requests_per_s"]) else row["mean_requests_per_s"])


def energy_of(world: World, site: Any, t: str) -> tuple[float, float]:
    """USD and grams of a kWh: the row for site and slice, else the site's own."""
    for row in world.rows("energy"):
        if (row["site"], row["slice"]) == (site["site"], t):
            return row["usd_per_kwh"], row["gco2_per_kwh"]
    return site["usd_per_kwh"], site["gco2_per_kwh"]
