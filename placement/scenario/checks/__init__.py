"""What must hold between the tables of a scenario: one `check_*` per rule, grouped by theme."""

from collections.abc import Callable, Iterator

from placement.scenario.checks import places, references, units
from placement.scenario.draft import Draft
from placement.scenario.findings import Finding

Check = Callable[[Draft], Iterator[Finding]]

CHECKS: tuple[Check, ...] = (
    *references.CHECKS,
    *places.CHECKS,
    *units.CHECKS,
)


def check_all(draft: Draft) -> list[Finding]:
    """Every finding of every rule."""
    return [finding for check in CHECKS for finding in check(draft)]
