"""Holds a plan against the scenario, its pairs and nothing else; shares no code with what made the plan.

    report = audit(Path("plan"), scenario, pairs)
    report.passed, report.violations, report.bound_verified_usd_month

`verify_bound` recomputes the bound of a certificate alone.
"""

from placement.audit.auditing import audit
from placement.audit.bound import VerifiedBound, verify_bound
from placement.audit.report import RULES, AuditReport, Violation

__all__ = ["RULES", "AuditReport", "VerifiedBound", "Violation", "audit", "verify_bound"]
