"""What a zone says: the chances of each answer, by the arithmetic of the server that reads it."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from placement.feeds.powerdns.chances import THOUSAND, served
from placement.feeds.powerdns.names import ELSEWHERE, PLAN, SITES, UNKNOWN
from placement.feeds.powerdns.zone import OURS
from placement.feeds.view import Class

_DEEPEST = 4


class ZoneError(ValueError):
    """The zone does not say what a zone of ours says; the message says where."""


@dataclass(frozen=True)
class Zone:
    """Chances of all answers to a class, by site, "" for elsewhere."""

    answers: Mapping[Class, Mapping[str, Fraction]]


def read_zone(content: bytes) -> Zone:
    """The zone of a file. Raises ZoneError, and what json raises."""
    return _Reader(json.loads(content)).zone()


class _Reader:
    def __init__(self, document: dict[str, Any]) -> None:
        (domain,) = document["domains"]
        self.zone_name: str = domain["domain"]
        self.records: dict[str, list[dict[str, Any]]] = domain["records"]
        self.services: dict[str, dict[str, list[str]]] = domain["services"]
        self.mapped = set(document["custom_mapping"].values())
        self.names: dict[str, dict[str, str]] = document[OURS]["names"]
        self.used: set[str] = {self.zone_name, f"{PLAN}.{self.zone_name}"}

    def zone(self) -> Zone:
        """All classes, each name of the zone used, and none asked for that is not there."""
        answers = {key: chances for name in self.services for key, chances in self._service(name)}
        self.used |= {f"{ELSEWHERE}.{self.zone_name}"} & self.records.keys()
        if unused := sorted(self.records.keys() - self.used):
            raise ZoneError(f"nobody is sent to {', '.join(unused[:5])}")
        return Zone(answers)

    def _service(self, name: str) -> Iterator[tuple[Class, Mapping[str, Fraction]]]:
        service, model, zone = name.split(".", 2)
        if zone != self.zone_name:
            raise ZoneError(f"{name} is not in the zone")
        nobody = f"{UNKNOWN}.{name}"
        self._records(nobody)
        regions = set(self.mapped)
        for client, sent in self.services[name].items():
            first, *rest = sent
            label, _, below = first.partition(".")
            if below != name or rest != [nobody] or (client == "default") != (label == "%mp"):
                raise ZoneError(f"{name}: {client} is sent to {', '.join(sent)}")
            regions.add(label)
        for label in sorted(regions & self.names["region"].keys()):
            if f"{label}.{name}" in self.records:
                key = (self.names["region"][label], self.names["model"][model], self.names["service"][service])
                yield key, self._chances(f"{label}.{name}", model)

    def _chances(self, name: str, model: str, depth: int = 1) -> dict[str, Fraction]:
        """Chances of the answers of a name, by site."""
        targets, given = [], []
        for record in self._records(name):
            (cname,) = record.values()
            targets.append(cname["content"].removesuffix("."))
            given.append(cname["weight"])
        found: dict[str, Fraction] = {}
        for target, part in zip(targets, served(given), strict=True):
            for site, chance in self._of_target(name, target, model, depth).items():
                found[site] = found.get(site, Fraction(0)) + chance * Fraction(part, THOUSAND)
        return {site: chance for site, chance in found.items() if chance}

    def _of_target(self, name: str, target: str, model: str, depth: int) -> dict[str, Fraction]:
        if target.endswith(f".{name}") and depth < _DEEPEST:
            return self._chances(target, model, depth + 1)
        self._records(target)
        if target == f"{ELSEWHERE}.{self.zone_name}":
            return {"": Fraction(1)}
        label, _, rest = target.partition(".")
        if rest != f"{SITES}.{model}.{self.zone_name}":
            raise ZoneError(f"{name} sends to {target}, which is no site of {model}")
        return {self.names["site"][label]: Fraction(1)}

    def _records(self, name: str) -> list[dict[str, Any]]:
        if not self.records.get(name):
            raise ZoneError(f"{name} is asked for, and not in the zone")
        self.used.add(name)
        return self.records[name]
