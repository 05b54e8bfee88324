"""Prices of another day settled on today's problem: what has become too dear for a row is taken off, in a few sweeps.

A row that needs less today than its price was made for is worth having at every site in reach, and each of them counts
in the bound as if it had the row to itself; a row whose price is too low is missed only once. A usual step moves all
rows alike, and good prices with them. So here only rows that many sites would serve at once lose a part of their price,
and what does not raise the bound is taken back and tried on more rows, with less.
"""

from dataclasses import replace

import numpy as np

from solvers.bound.backup import has_failures
from solvers.bound.evaluate import Evaluator
from solvers.bound.layout import layout_of
from solvers.problem import Problem
from solvers.relax import base_problem
from solvers.solution import Certificate

SWEEPS = 16
OVER_SERVED = 0.6
"""Rows served so many times as often as the most served one are too dear, at first."""
TAKEN = 0.08
"""What part of its price it loses, at first."""
MILDER = 0.75
"""Times both, after a sweep that did not help."""


def settled(problem: Problem, certificate: Certificate, sweeps: int = SWEEPS) -> Certificate:
    """`certificate` with prices of rows, USD a month, that prove no less for `problem`, and often much more.

    Under N-1 it is returned as it is: there rows are priced together with their failures.
    """
    base = base_problem(problem, keep_reserve=True)
    if has_failures(base) or len(certificate.multipliers.backup.row):
        return certificate
    best, best_usd = certificate, -np.inf
    prices = certificate.multipliers
    times, taken = 0.0, TAKEN
    served = np.zeros(problem.demands)
    with Evaluator(layout_of(base), 2) as evaluator:
        evaluator.use(certificate.cuts)
        for _ in range(sweeps):
            sweep = evaluator.sweep(prices)
            if sweep.bound_usd > best_usd:
                best, best_usd = replace(certificate, multipliers=prices), sweep.bound_usd
                served = sweep.served.copy()
                times = times or OVER_SERVED * float(served.max(initial=0.0))
            else:
                times, taken = MILDER * times, MILDER * taken
            if times <= 1:  # no row is served by several
                break
            usd = best.multipliers.demand_usd
            prices = replace(prices, demand_usd=np.where(served >= times, usd * (1 - taken), usd))
    return best
