"""The audit of a plan folder."""

from fractions import Fraction
from pathlib import Path

from placement.audit.bound import VerifiedBound, bound_of
from placement.audit.case import Case, open_case
from placement.audit.figures import check_bound, check_figures
from placement.audit.grid import Grid
from placement.audit.machines import check_machines
from placement.audit.money import check_money, planned
from placement.audit.penalties import Penalties
from placement.audit.plan_files import PlanFiles, read_plan
from placement.audit.report import AuditReport, Findings
from placement.audit.serving import check_serving
from placement.scenario import Scenario
from placement.topology.pairs import Pairs


def audit(plan: Path, scenario: Scenario, pairs: Pairs) -> AuditReport:
    """Check everything that the plan folder says against the scenario's tables and pairs.

    Nothing in the folder is trusted and nothing in it raises: what cannot be read is a violation named `format`.
    Money and rules are exact; the bound is recomputed from the certificate in float64 and rounded outward.
    """
    findings = Findings()
    case = open_case(scenario, pairs)
    penalties = Penalties(Grid(case))
    files = read_plan(Path(plan), findings)
    verified = bound_of(Path(plan) / "certificate.npz", penalties)
    share = None if files is None else _check(case, penalties, files, verified, Path(plan), findings)
    return AuditReport(
        passed=not findings.violations,
        violations=tuple(findings.violations),
        rules_checked=dict(findings.checked),
        bound_verified_usd_month=verified.bound_usd_month,
        constant_usd_month=verified.constant_usd_month,
        gap_verified=None if share is None else float(share),
        notes=tuple(findings.notes),
    )


def _check(
    case: Case, penalties: Penalties, files: PlanFiles, verified: VerifiedBound, plan: Path, findings: Findings
) -> Fraction | None:
    """All rules. Returns the verified gap."""
    check_provenance(case, files, findings)
    check_later(case, files, findings)
    routes = check_serving(case, files, findings)
    servers = check_machines(case, files, findings)
    served = planned(case, routes)
    check_money(case, penalties, files, servers, served, findings)
    check_figures(case, files, served, findings)
    check_certificate(files, verified, plan, findings)
    bound = None if verified.bound_usd_month is None else Fraction(verified.bound_usd_month)
    return check_bound(files, bound, penalties.constant_usd, findings)


def check_provenance(case: Case, files: PlanFiles, findings: Findings) -> None:
    """The plan names this scenario and the hashes of exactly these inputs."""
    name, inputs = case.scenario.document.name, case.scenario.sha256
    findings.check(
        "provenance", files.scenario == name, "scenario", f"the plan is for {files.scenario!r}, not {name!r}"
    )
    for file in sorted(set(inputs) | set(files.inputs_sha256)):
        said, is_ = files.inputs_sha256.get(file, "nothing"), inputs.get(file, "no such file")
        findings.check("provenance", said == is_, file, f"the plan was made from {said}, the scenario has {is_}")


def check_later(case: Case, files: PlanFiles, findings: Findings) -> None:
    """Rules that this version does not honour are not silently dropped."""
    for rule in case.scenario.later:
        findings.check("not honoured", False, rule.file, str(rule))
    findings.check("not honoured", not files.jobs, "jobs", "jobs are not planned yet")


def check_certificate(files: PlanFiles, verified: VerifiedBound, plan: Path, findings: Findings) -> None:
    """A certificate that is there must prove something; one that is not there may prove nothing."""
    if not (plan / "certificate.npz").exists() and files.bound_verified_usd_month is None:
        findings.notes.append("there is no certificate: nothing is proved about the gap")
        return
    findings.check("certificate", verified.bound_usd_month is not None, "certificate.npz", verified.reason)
