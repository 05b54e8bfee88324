"""The named tuples of the search as structures passed by reference.

A tuple of fifty arrays passed by value costs the compiler minutes and every call hundreds of arguments; a reference
costs one pointer. The arrays are shared: what a kernel writes is seen through the tuple.
"""

from typing import Any

from numba import njit, types
from numba.experimental import structref

from solvers.search.ground import Ground
from solvers.search.state import State, Work

_types: Any = types
_structref: Any = structref


def plain(fields: Any) -> Any:
    """Fields with their types without literals."""
    return tuple((name, _types.unliteral(kind)) for name, kind in fields)


@structref.register
class GroundType(types.StructRef):
    """Numba's type of `Ground`."""

    def preprocess_fields(self, fields: Any) -> Any:
        return plain(fields)


@structref.register
class StateType(types.StructRef):
    """Numba's type of `State`."""

    def preprocess_fields(self, fields: Any) -> Any:
        return plain(fields)


@structref.register
class WorkType(types.StructRef):
    """Numba's type of `Work`."""

    def preprocess_fields(self, fields: Any) -> Any:
        return plain(fields)


class GroundRef(structref.StructRefProxy):
    """A `Ground` by reference."""


class StateRef(structref.StructRefProxy):
    """A `State` by reference."""


class WorkRef(structref.StructRefProxy):
    """A `Work` by reference."""


_structref.define_proxy(GroundRef, GroundType, list(Ground._fields))
_structref.define_proxy(StateRef, StateType, list(State._fields))
_structref.define_proxy(WorkRef, WorkType, list(Work._fields))


@njit(cache=True)
def refer_ground(ground: Ground) -> Any:
    return GroundRef(*ground)  # type: ignore[no-untyped-call]


@njit(cache=True)
def refer_state(state: State) -> Any:
    return StateRef(*state)  # type: ignore[no-untyped-call]


@njit(cache=True)
def refer_work(work: Work) -> Any:
    return WorkRef(*work)  # type: ignore[no-untyped-call]
