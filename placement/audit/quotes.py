"""A sets of prices that a site is valued at: those of the root, or those of all leaves of a group at once."""

from dataclasses import dataclass, field

import numpy as np

from placement.audit.arrays import Float, Int
from placement.audit.cuts import Block, CutBook
from placement.audit.site_value import NO_LIMITS, ServerLimits

FREE, CLOSED, OPENED = 0, 1, 2
"""What a leaf says of a site: nothing, that it holds no server, that it holds some."""


@dataclass(frozen=True)
class PathLimits:
    """What the leaves allow at one site, A each; nothing is limited where there are no leaves."""

    state: Int = field(default_factory=lambda: np.zeros(1, np.int64))  # FREE, CLOSED or OPENED
    servers: dict[str, ServerLimits] = field(default_factory=dict)  # by owner
    replicas: dict[Block, tuple[Int, Int]] = field(default_factory=dict)  # at least, at most

    @property
    def none(self) -> bool:
        return not (self.servers or self.replicas or self.state.any())

    def of_servers(self, tenant: str) -> ServerLimits:
        return self.servers.get(tenant, NO_LIMITS)


UNLIMITED = PathLimits()


@dataclass(frozen=True)
class Quotes:
    """Prices of rows and of cuts."""

    usd: Float  # R + 1: of the root
    books: tuple[CutBook, ...]  # each A × C, or 1 × C
    column: Int | None = None  # R + 1: column of `leaf_usd`, -1 where the root's price holds
    leaf_usd: Float | None = None  # A × columns

    def of_rows(self, rows: Int) -> Float:
        """What the rows pay, A × n."""
        root = self.usd[rows][None]
        if self.column is None or self.leaf_usd is None:
            return root
        column = self.column[rows]
        return np.where(column >= 0, self.leaf_usd[:, column], root)
