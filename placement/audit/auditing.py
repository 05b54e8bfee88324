"""The audit of a plan folder."""

from collections.abc import Callable
from fractions import Fraction
from functools import partial
from pathlib import Path

from placement.audit.beside import beside
from placement.audit.bound import VerifiedBound, bound_of, by_months
from placement.audit.carbon import check_carbon, check_carbon_limit
from placement.audit.case import Case, open_cases
from placement.audit.economics import check_economics
from placement.audit.failures import Backups, check_failures, check_reliability, check_shares
from placement.audit.figures import check_bound, check_figures, check_least_served, check_periods
from placement.audit.goals import check_goals
from placement.audit.grid import Grid
from placement.audit.jobs import check_jobs
from placement.audit.machines import check_machines
from placement.audit.met import check_budget_met
from placement.audit.money import check_cost, check_jobs_usd, check_month, check_objective, mean_usd, spent
from placement.audit.month import Month, months_of
from placement.audit.moves import Before, added_in_all, check_moves, read_before
from placement.audit.penalties import Penalties
from placement.audit.pins import check_pins
from placement.audit.plan_files import PlanFiles, read_plan
from placement.audit.report import AuditReport, Findings
from placement.audit.rollout import check_rollout
from placement.audit.serving import check_serving
from placement.scenario import Scenario
from placement.topology.pairs import Pairs

LONG_WAYS = 200_000
"""Ways at all sites in all periods from which on the bound is proved beside the rules; below, it takes no second."""


def audit(plan: Path, scenario: Scenario, pairs: Pairs, *, bound: bool = True) -> AuditReport:
    """Check everything that the plan folder says against the scenario's tables and pairs.

    Nothing in the folder is trusted and nothing in it raises: what cannot be read is a violation named `format`.
    Money and rules are exact; the bound is recomputed from the certificate in float64 and rounded outward. Without
    `bound` the certificate is not read, and neither the plan's bound nor its gap is checked: much the quickest.
    """
    findings = Findings()
    penalties = tuple(Penalties(Grid(case)) for case in open_cases(scenario, pairs))
    files = read_plan(Path(plan), findings)
    pays = bound and _takes_long(penalties)
    if pays:
        _look_at_all_ways(penalties)
    prove = partial(bound_of, Path(plan) / "certificate.npz", penalties)
    with beside(prove, pays=pays) as proved:
        share = None if files is None else _check(penalties, files, proved if bound else None, Path(plan), findings)
        verified = proved() if bound else None
    return AuditReport(
        passed=not findings.violations,
        violations=tuple(findings.violations),
        rules_checked=dict(findings.checked),
        bound_verified_usd_month=None if verified is None else verified.bound_usd_month,
        constant_usd_month=None if verified is None else verified.constant_usd_month,
        gap_verified=None if share is None else float(share),
        notes=tuple(findings.notes),
    )


def _takes_long(penalties: tuple[Penalties, ...]) -> bool:
    """Whether the bound takes long enough for the rules to be checked meanwhile."""
    return sum(len(of_period.grid.sites) * len(of_period.grid.ways.kind) for of_period in penalties) >= LONG_WAYS


def _look_at_all_ways(penalties: tuple[Penalties, ...]) -> None:
    """What both sides ask of every site, found before they part."""
    by_months([of_period.constant_usd for of_period in penalties], penalties)


def _check(
    penalties: tuple[Penalties, ...],
    files: PlanFiles,
    proved: Callable[[], VerifiedBound] | None,
    plan: Path,
    findings: Findings,
) -> Fraction | None:
    """All rules, without `proved` but for the bound. Returns the verified gap."""
    cases = tuple(of_period.grid.case for of_period in penalties)
    check_provenance(cases[0], files, findings)
    check_later(cases[0], findings)
    check_reliability(files, cases[0].scenario, findings)
    months = months_of(cases, files, findings)
    before, backups = read_before(months[0], findings), Backups(cases[0])
    for month in months:
        _check_rules(month, backups, files, findings.within(month.case.period.name))
    check_moves(months[0], before, files, findings.within(months[0].case.period.name))
    _check_figures(months, penalties, files, before, findings)
    if proved is None:
        findings.notes.append("the bound was not asked for: nothing is said of the gap")
        return None
    verified = proved()
    check_certificate(files, verified, plan, findings)
    bound = None if verified.bound_usd_month is None else Fraction(verified.bound_usd_month)
    constant = by_months([of_period.constant_usd for of_period in penalties], penalties)
    return check_bound(files, bound, constant, findings)


def _check_rules(month: Month, backups: Backups, files: PlanFiles, findings: Findings) -> None:
    """What one period keeps by itself."""
    check_serving(month, files, findings)
    gangs = check_jobs(month.case, month.jobs, findings)
    check_machines(month, gangs, findings)
    check_pins(month, findings)
    failures = check_failures(month, backups, findings)
    if files.failover is not None and failures:
        told = {row.domain: row for row in files.domains if row.period == month.case.period.name}
        check_shares(month, failures, told, findings)
    check_least_served(month, findings)


def _check_figures(
    months: tuple[Month, ...],
    penalties: tuple[Penalties, ...],
    files: PlanFiles,
    before: Before | None,
    findings: Findings,
) -> None:
    """What ties the periods, and what the plan says of them: money, carbon, goals, shares."""
    capex_usd = check_rollout(months, findings)
    added = added_in_all(months[0], before)
    parts = tuple(
        spent(month, of_period, 0 if month.case.period.number else added)
        for month, of_period in zip(months, penalties, strict=True)
    )
    for month, of_period, part in zip(months, penalties, parts, strict=True):
        within = findings.within(month.case.period.name)
        check_month(month, of_period, part, within)
        check_jobs_usd(month, within)
        check_carbon_limit(month, part.emission, within)
    usd = mean_usd(months, parts)
    check_cost(files.cost, usd, findings)
    check_objective(files, sum(usd.values(), Fraction(0)), findings)
    document = months[0].case.scenario.document
    asked = document.limits.max_tco2e_month is not None or document.objective.usd_per_tco2e is not None
    emitted = [(month.case.period.months, part.emission) for month, part in zip(months, parts, strict=True)]
    check_carbon(files.carbon, emitted, findings, asked=asked or "carbon" in document.objective.goals)
    check_goals(months, parts, added, files, findings)
    check_economics(months, files.economics, findings)
    check_periods(months, parts, capex_usd, files, findings)
    check_figures(months, files, findings)
    check_budget_met(months, files, findings)


def check_provenance(case: Case, files: PlanFiles, findings: Findings) -> None:
    """The plan names this scenario and the hashes of exactly these inputs."""
    name, inputs = case.scenario.document.name, case.scenario.sha256
    findings.check(
        "provenance", files.scenario == name, "scenario", f"the plan is for {files.scenario!r}, not {name!r}"
    )
    for file in sorted(set(inputs) | set(files.inputs_sha256)):
        said, is_ = files.inputs_sha256.get(file, "nothing"), inputs.get(file, "no such file")
        findings.check("provenance", said == is_, file, f"the plan was made from {said}, the scenario has {is_}")


def check_later(case: Case, findings: Findings) -> None:
    """Rules that this version does not honour are not silently dropped."""
    for rule in case.scenario.later:
        findings.check("not honoured", False, rule.file, str(rule))


def check_certificate(files: PlanFiles, verified: VerifiedBound, plan: Path, findings: Findings) -> None:
    """A certificate that is there must prove something; one that is not there may prove nothing."""
    if not (plan / "certificate.npz").exists() and files.bound_verified_usd_month is None:
        findings.notes.append("there is no certificate: nothing is proved about the gap")
        return
    findings.check("certificate", verified.bound_usd_month is not None, "certificate.npz", verified.reason)
    findings.notes.extend(str(of_period) for of_period in verified.proved_with if of_period)
