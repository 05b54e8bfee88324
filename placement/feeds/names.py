"""What a scenario says of the names in its plan, as feeds know them."""

from collections import defaultdict
from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np

from placement.feeds.view import Region, Service, Shape, Site
from placement.frames import keyed, records
from placement.scenario import Scenario


class Names:
    """Sites, regions, shapes, services, servers, jobs and domains of a scenario, each by its name."""

    def __init__(self, scenario: Scenario) -> None:
        self._table = scenario.table

    @cached_property
    def domains(self) -> Mapping[str, frozenset[str]]:
        """The sites of every domain, whether it may fail or not."""
        sites: dict[str, set[str]] = defaultdict(set)
        for row in records(self._table("domains")):
            sites[row["domain"]].add(row["site"])
        return {name: frozenset(sites[name]) for name in sorted(sites)}

    @cached_property
    def sites(self) -> Mapping[str, Site]:
        """PoPs, also those where nothing stands."""
        domains: dict[str, list[str]] = defaultdict(list)
        for name, members in self.domains.items():
            for site in members:
                domains[site].append(name)
        return {
            row["site"]: Site(
                row["site"],
                row["name"] or row["site"],
                row["country"],
                row["latitude"],
                row["longitude"],
                tuple(domains[row["site"]]),
            )
            for row in records(self._table("sites"))
        }

    @cached_property
    def regions(self) -> Mapping[str, Region]:
        """User populations."""
        return {
            row["region"]: Region(
                row["region"],
                row["name"] or row["region"],
                row["country"],
                row["latitude"],
                row["longitude"],
                _asn(row["asn"]),
            )
            for row in records(self._table("regions"))
        }

    @cached_property
    def shapes(self) -> Mapping[str, Shape]:
        """Ways of running models; what differs between the profiles of a shape is no concern of feeds."""
        return {
            row["shape"]: Shape(
                row["shape"],
                row["model"],
                row["gpu"],
                round(4 * row["gpus_per_replica"]),
                row["precision"],
                _figure(row["memory_gb"]),
                _figure(row["weights_gb"]),
            )
            for row in records(self._table("shapes"))
        }

    @cached_property
    def services(self) -> Mapping[str, Service]:
        """Services."""
        return {
            row["service"]: Service(row["service"], row["profile"], row["latency_budget_ms"])
            for row in records(self._table("services"))
        }

    @cached_property
    def servers(self) -> Mapping[str, Mapping[str, Any]]:
        """The rows of the table of servers."""
        return keyed(self._table("servers"), "server")

    @cached_property
    def jobs(self) -> Mapping[str, Mapping[str, Any]]:
        """The rows of the table of jobs."""
        return keyed(self._table("jobs"), "job")


def _asn(text: str) -> int | None:
    digits = text.upper().removeprefix("AS")
    return int(digits) if digits.isdecimal() else None


def _figure(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
