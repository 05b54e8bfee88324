"""What must hold between the tables of a scenario: one `check_*` per rule, grouped by theme."""

from collections.abc import Callable, Iterator

import numpy as np

from placement.scenario.checks import (
    carbon,
    failures,
    goals,
    jobs,
    later,
    measurements,
    periods,
    pins,
    places,
    promises,
    ratios,
    references,
    residency,
    shapes,
    standing,
    supply,
    time,
    transit,
    units,
)
from placement.scenario.draft import Draft
from placement.scenario.findings import Finding

Check = Callable[[Draft], Iterator[Finding]]

CHECKS: tuple[Check, ...] = (
    *references.CHECKS,
    *places.CHECKS,
    *units.CHECKS,
    *ratios.CHECKS,
    *residency.CHECKS,
    *shapes.CHECKS,
    *time.CHECKS,
    *periods.CHECKS,
    *supply.CHECKS,
    *standing.CHECKS,
    *promises.CHECKS,
    *transit.CHECKS,
    *failures.CHECKS,
    *jobs.CHECKS,
    *pins.CHECKS,
    *carbon.CHECKS,
    *goals.CHECKS,
    *later.CHECKS,
    *measurements.CHECKS,
)


def check_all(draft: Draft) -> list[Finding]:
    """Every finding of every rule."""
    with np.errstate(over="ignore", invalid="ignore"):  # an absurd figure is finite, and its product may not be
        return [finding for check in CHECKS for finding in check(draft)]
