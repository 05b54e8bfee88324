"""The order of safe steps: all at once, else waves, else what an exhaustive search of small moves finds."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

from placement.diff.changes import Changes
from placement.diff.ground import Ground, Standing, ground
from placement.diff.search import searched
from placement.diff.waves import Step, Walk, lacking

Method: TypeAlias = Literal["nothing to do", "at once", "waves", "search", "short"]


@dataclass(frozen=True)
class Order:
    """The whole way. The last wave's routes are those of the new plan."""

    ground: Ground
    method: Method
    steps: tuple[Step, ...]


def order(changes: Changes) -> Order:
    """The waves that lead from the old plan to the new one.

    Raises:
        NoOrderError: the new plan's replicas exceed its own servers.
    """
    return order_on(ground(changes.case, changes.old, changes.new))


def order_on(basis: Ground) -> Order:
    """As `order`."""
    walk = Walk(basis)
    if not walk.still and basis.start == basis.goal and not any(_counts(basis.strange)):
        return Order(basis, "nothing to do", ())
    if not walk.blocked():
        return Order(basis, "at once", (walk.last(),))
    steps = walk.waves()
    if not any(lacking(basis, step.routes) for step in steps[:-1]):
        return Order(basis, "waves", steps)
    found = searched(basis)
    return Order(basis, "short", steps) if found is None else Order(basis, "search", found)


def _counts(standing: Standing) -> Iterator[int]:
    yield from standing.replicas.values()
    yield from standing.servers.values()
