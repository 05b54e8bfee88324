"""(14) Pins: models held at sites by decree."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from placement.frames import numbered, records, texts
from placement.scenario import Scenario
from solvers.rules import Pins

Int = NDArray[np.int64]

NO_LIMIT = int(np.iinfo(np.int32).max)


@dataclass(frozen=True)
class PinTable:
    """The pins of a scenario, Q each, in the table's order: (model, site)."""

    model: tuple[str, ...]
    site_name: tuple[str, ...]
    site: Int
    least: Int
    most: Int

    @property
    def names(self) -> tuple[tuple[str, str], ...]:
        return tuple(zip(self.model, self.site_name, strict=True))

    @property
    def demanding(self) -> frozenset[str]:
        """Models of which some replica must stand."""
        return frozenset(model for model, least in zip(self.model, self.least, strict=True) if least > 0)


def pin_table(scenario: Scenario) -> PinTable | None:
    """The pins; None where there are none."""
    rows = records(scenario.table("pins"))
    if not rows:
        return None
    site = numbered(texts(scenario.table("sites"), "site"))
    least = [0 if np.isnan(row["min_replicas"]) else int(row["min_replicas"]) for row in rows]
    most = [NO_LIMIT if np.isnan(row["max_replicas"]) else int(row["max_replicas"]) for row in rows]
    return PinTable(
        tuple(row["model"] for row in rows),
        tuple(row["site"] for row in rows),
        np.array([site[row["site"]] for row in rows], np.int64),
        np.array(least, np.int64),
        np.array(most, np.int64),
    )


def pin_rule(pins: PinTable | None, block_site: Int, block_model: NDArray[np.str_]) -> Pins | None:
    """least ≤ Σ_{b of the pin} y_b ≤ most, in every slice.

    A pin whose site could hold no shape of the model keeps its least without any entry: no plan satisfies it.
    """
    if pins is None:
        return None
    entries = [
        np.flatnonzero((block_site == site) & (block_model == model))
        for site, model in zip(pins.site, pins.model, strict=True)
    ]
    number = np.repeat(np.arange(len(entries)), [len(block) for block in entries])
    return Pins(pins.least, pins.most, number.astype(np.int64), np.concatenate(entries).astype(np.int64))
