"""The annealing's named tuples as structures passed by reference (see `solvers.search.refs`)."""

from typing import Any

from numba import njit, types
from numba.experimental import structref

from solvers.complete.anneal.desk import Desk
from solvers.complete.anneal.land import Land
from solvers.complete.anneal.plan import Plan
from solvers.search.refs import plain

_types: Any = types
_structref: Any = structref


@structref.register
class LandType(types.StructRef):
    """Numba's type of `Land`."""

    def preprocess_fields(self, fields: Any) -> Any:
        return plain(fields)


@structref.register
class PlanType(types.StructRef):
    """Numba's type of `Plan`."""

    def preprocess_fields(self, fields: Any) -> Any:
        return plain(fields)


@structref.register
class DeskType(types.StructRef):
    """Numba's type of `Desk`."""

    def preprocess_fields(self, fields: Any) -> Any:
        return plain(fields)


class LandRef(structref.StructRefProxy):
    """A `Land` by reference."""


class PlanRef(structref.StructRefProxy):
    """A `Plan` by reference."""


class DeskRef(structref.StructRefProxy):
    """A `Desk` by reference."""


_structref.define_proxy(LandRef, LandType, list(Land._fields))
_structref.define_proxy(PlanRef, PlanType, list(Plan._fields))
_structref.define_proxy(DeskRef, DeskType, list(Desk._fields))


@njit(cache=True)
def refer_land(land: Land) -> Any:
    return LandRef(*land)  # type: ignore[no-untyped-call]


@njit(cache=True)
def refer_plan(plan: Plan) -> Any:
    return PlanRef(*plan)  # type: ignore[no-untyped-call]


@njit(cache=True)
def refer_desk(desk: Desk) -> Any:
    return DeskRef(*desk)  # type: ignore[no-untyped-call]
