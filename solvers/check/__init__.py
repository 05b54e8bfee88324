"""Every rule of a problem restated on a placement: the solvers' own safety net."""

from solvers.check.whole import violations

__all__ = ["violations"]
