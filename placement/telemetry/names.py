"""What a scenario calls its regions, models and services, its slices, and the demand that stands in it."""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from placement.datasets import dataset
from placement.scenario.dictionary import tables
from placement.scenario.findings import Finding
from placement.scenario.reading import SUFFIXES, read_table
from placement.scenario.tables import empty, filled, finished, typed
from placement.telemetry.config import CLASS
from placement.telemetry.errors import TelemetryError
from placement.telemetry.mapping import Class

OPTIONAL = ("slices", "demand")
NAMED = {"region": "regions", "model": "models", "service": "services"}


@dataclass(frozen=True)
class Names:
    """`demand` and `slices` are finished tables, without rows where the scenario has none."""

    regions: frozenset[str]
    models: frozenset[str]
    services: frozenset[str]
    slices: pd.DataFrame
    demand: pd.DataFrame

    def knows(self, cls: Class) -> bool:
        """Whether the scenario names the class' region, model and service."""
        return cls[0] in self.regions and cls[1] in self.models and cls[2] in self.services

    def classes(self) -> set[Class]:
        """The classes of the present demand."""
        return set(self.demand[list(CLASS)].itertuples(index=False, name=None))


def read_names(folder: Path) -> Names:
    """The tables of the scenario that demand speaks of; the others need not be sound yet.

    Raises:
        TelemetryError: one is missing or wrong; every finding at once.
    """
    wrong: list[Finding] = []
    found = {name: _table(folder, name, wrong) for name in ("regions", "models", "services", "slices", "demand")}
    if any(finding.severity == "error" for finding in wrong):
        raise TelemetryError(*(str(finding) for finding in wrong if finding.severity == "error"))
    names = {table: frozenset(map(str, found[table][column])) for column, table in NAMED.items()}
    return Names(names["regions"], names["models"], names["services"], found["slices"], found["demand"])


def _table(folder: Path, name: str, wrong: list[Finding]) -> pd.DataFrame:
    spec = tables()[name]
    paths = [folder / f"{name}{suffix}" for suffix in SUFFIXES if (folder / f"{name}{suffix}").is_file()]
    if not paths and spec.catalog:
        paths = [dataset("catalog") / f"{name}.csv"]
    if not paths:
        if name not in OPTIONAL:
            wrong.append(Finding("missing-table", f"{name}.csv", f"{folder} has no such table", "Write it."))
        return empty(spec)
    raw, found = read_table(paths[0], paths[0].name)
    wrong += found
    if raw is None:
        return empty(spec)
    table, found = typed(raw, spec)
    wrong += found
    return empty(spec) if found else finished(filled(table)[0].frame, spec)
