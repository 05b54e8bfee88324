"""Recomputes the bound that a certificate proves, against every admissible class, site and shape of the tables.

Every period has a bound of its own (`pricing`): its stock, capex and installs are cumulative rows of the period, so
what ties it to others is relaxed. The objective is the mean over the periods by their months, and so is the bound:

    L = Σ_h months_h·L_h / Σ_h months_h,    C0 likewise,    gap = (z − L)/(z − C0)
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np

from placement.audit.case import open_cases
from placement.audit.certificate import Arrays, CertificateError, read_certificate
from placement.audit.grid import Grid
from placement.audit.penalties import Penalties
from placement.audit.pricing import Pricing, ProvedWith, rounded_down
from placement.scenario import Scenario
from placement.topology.pairs import Pairs


@dataclass(frozen=True)
class VerifiedBound:
    """What a certificate proves. `bound_usd_month` is None when it proves nothing; `reason` then says why."""

    bound_usd_month: float | None
    constant_usd_month: float  # C0: penalties of the classes that no site may serve
    reason: str = ""
    proved_with: tuple[ProvedWith, ...] = ()  # by period: cuts, backups, groups, and what branching adds


def verify_bound(certificate: Path | Arrays, scenario: Scenario, pairs: Pairs) -> VerifiedBound:
    """The bound, USD a month, that the multipliers in `certificate` (npz file or its arrays) prove."""
    return bound_of(certificate, tuple(Penalties(Grid(case)) for case in open_cases(scenario, pairs)))


def bound_of(certificate: Path | Arrays, penalties: Sequence[Penalties]) -> VerifiedBound:
    """As `verify_bound`, for cases that are open already: the penalties of every period."""
    constant = float(by_months([of_period.constant_usd for of_period in penalties], penalties))
    try:
        prices = read_certificate(certificate)
        _refuse_other_periods(set(prices), {of_period.grid.case.period.name for of_period in penalties})
        pricings = [Pricing(of_period, prices[of_period.grid.case.period.name]) for of_period in penalties]
        for pricing in pricings:
            pricing.refuse_strangers()
        with np.errstate(over="ignore", invalid="ignore"):
            proved = [pricing.proved() for pricing in pricings]
        bound = rounded_down(by_months([Fraction(of_period.usd) for of_period in proved], penalties))
    except CertificateError as error:
        return VerifiedBound(None, constant, str(error))
    except (OverflowError, ValueError):  # a sum of prices that each are a float, and together are none
        return VerifiedBound(None, constant, "the multipliers are too large to compute with")
    return VerifiedBound(bound, constant, proved_with=tuple(of_period.proved_with for of_period in proved))


def _refuse_other_periods(named: set[str], known: set[str]) -> None:
    if named != known:
        strangers, missing = sorted(named - known), sorted(known - named)
        raise CertificateError(f"periods: unknown {strangers[:3]}, missing {missing[:3]}")


def by_months(usd: Sequence[Fraction], penalties: Sequence[Penalties]) -> Fraction:
    """The mean over the periods by how long each lasts, exactly."""
    months = [of_period.grid.case.period.months for of_period in penalties]
    return sum((m * value for m, value in zip(months, usd, strict=True)), Fraction(0)) / sum(months, Fraction(0))
