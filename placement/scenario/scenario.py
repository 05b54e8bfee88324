"""A scenario that passed every check, and the report of a check."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from placement.scenario.dictionary import tables
from placement.scenario.document import Document
from placement.scenario.findings import Assumed, Finding
from placement.scenario.tables import empty


@dataclass(frozen=True)
class Scenario:
    """A validated scenario; nothing in it may be changed.

    `tables` holds the tables that are there (given, or from the bundled catalog), with every column of the dictionary,
    defaults filled in, sorted by key. `later` are the rules that `plan` refuses. `sha256` maps every input to the
    hash of what it says (see `fingerprint`): a table by its name, `scenario.toml`, a file of measurements by its path
    relative to the folder, `previous_plan`; a catalog table that stands in is `catalog:<file>`, hashed by its bytes.
    """

    folder: Path
    document: Document
    tables: Mapping[str, pd.DataFrame]
    assumed: tuple[Assumed, ...]
    later: tuple[Finding, ...]
    sha256: Mapping[str, str]

    def has(self, table: str) -> bool:
        """Whether the table is there; an absent one switches its rule off."""
        return table in self.tables

    def table(self, name: str) -> pd.DataFrame:
        """The table, not a copy; an absent one has all columns and no rows. Raises KeyError for an unknown name."""
        found = self.tables.get(name)
        return empty(tables()[name]) if found is None else found


@dataclass(frozen=True)
class Report:
    """What `check` prints. `scenario` is None where there is an error; `findings` has errors and warnings, in order."""

    scenario: Scenario | None
    findings: tuple[Finding, ...]
    assumed: tuple[Assumed, ...]
    later: tuple[Finding, ...]

    @property
    def errors(self) -> tuple[Finding, ...]:
        return tuple(finding for finding in self.findings if finding.severity == "error")

    @property
    def warnings(self) -> tuple[Finding, ...]:
        return tuple(finding for finding in self.findings if finding.severity == "warning")
