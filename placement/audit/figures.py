"""The plan's own figures, recomputed: served share, planned latency percentiles, bounds and gap."""

from fractions import Fraction
from itertools import accumulate

from placement.audit.case import Case
from placement.audit.money import Served
from placement.audit.plan_files import BILLION, PlanFiles
from placement.audit.report import Findings

PERCENTILES = {"p50_ms": Fraction(1, 2), "p95_ms": Fraction(95, 100), "p99_ms": Fraction(99, 100)}
SHARE_TOLERANCE = Fraction(1, 10**9)
MS_TOLERANCE = Fraction(1, 10**6)
GAP_TOLERANCE = Fraction(1, 10**6)
CENT = Fraction(1, 100)
CLAIM_TOLERANCE = Fraction(1, 10**6)  # a solver's own word is as good as its tolerances


def served_share(case: Case, plan: PlanFiles) -> Fraction:
    """Share of a month's mean requests that is served; 1 where there are none."""
    total = sum((case.prices.requests_month(key) for key in case.facts.demand), Fraction(0))
    left = sum(
        (
            Fraction(row.share_ppb, BILLION) * case.prices.requests_month(row.key)
            for row in plan.unserved
            if row.key in case.facts.demand
        ),
        Fraction(0),
    )
    return 1 - left / total if total else Fraction(1)


def percentile_ms(case: Case, served: tuple[Served, ...], share: Fraction) -> Fraction | None:
    """The smallest planned latency within which at least `share` of the served requests stay; None if none is."""
    weighted = sorted(
        (latency_ms, Fraction(route.share_ppb, BILLION) * case.prices.requests_month(route.key))
        for route, latency_ms in served
    )
    running = list(accumulate(weight for _, weight in weighted))
    if not running or not running[-1]:
        return None
    within = (
        latency_ms for (latency_ms, _), so_far in zip(weighted, running, strict=True) if so_far >= share * running[-1]
    )
    return next(within)


def check_figures(case: Case, plan: PlanFiles, served: tuple[Served, ...], findings: Findings) -> None:
    """Served share and percentiles as the plan states them."""
    if plan.served_share is not None:
        share = served_share(case, plan)
        off = abs(plan.served_share - share)
        detail = f"the plan says {float(plan.served_share):.9f}, recomputed {float(share):.9f}"
        findings.check("served share", off <= SHARE_TOLERANCE, "served_share", detail, off)
    for name, share in PERCENTILES.items():
        if name not in plan.latency_ms:
            continue
        said, value = plan.latency_ms[name], percentile_ms(case, served, share)
        same = said is value if said is None or value is None else abs(said - value) <= MS_TOLERANCE
        detail = f"the plan says {_told(said)}, recomputed {_told(value)}"
        findings.check("latency percentiles", same, name, detail)


def gap(objective: Fraction, bound: Fraction, constant: Fraction) -> Fraction | None:
    """(z − L)/(z − C0), 0 if z = L to the half cent that z is rounded by; None where z ≤ C0 and there is no share."""
    if abs(objective - bound) <= Fraction(1, 200):
        return Fraction(0)
    return (objective - bound) / (objective - constant) if objective > constant else None


def check_bound(plan: PlanFiles, bound: Fraction | None, constant: Fraction, findings: Findings) -> Fraction | None:
    """What the plan says of its bound and gap is what the certificate proves; null says nothing. Returns the gap."""
    objective, said = plan.objective_usd_month, plan.bound_verified_usd_month
    if said is None:
        findings.notes.append("the plan states no verified bound")
    else:
        same = bound is not None and abs(said - bound) <= CENT
        detail = f"the plan says {_told(said)}, the certificate proves {_told(bound)}"
        findings.check("bound", same, "bound_verified_usd_month", detail)
    if objective is None:
        return None
    claimed = plan.bound_claimed_usd_month
    if bound is not None:
        findings.at_most("bound", bound, objective + CENT, "what the certificate proves", "USD")
    if claimed is not None:
        findings.at_most("bound", claimed, objective + CENT + abs(objective) * CLAIM_TOLERANCE, "the claim", "USD")
    proved = None if bound is None else gap(objective, bound, constant)
    if plan.gap is not None:
        same = proved is not None and abs(plan.gap - proved) <= GAP_TOLERANCE
        findings.check("gap", same, "gap", f"the plan says {_told(plan.gap)}, recomputed {_told(proved)}")
    return proved


def _told(value: Fraction | None) -> str:
    return "nothing" if value is None else f"{float(value):.9g}"
