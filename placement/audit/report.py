"""What an audit found: the violations, and how many facts stand behind every rule that was checked."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction

RULES: tuple[str, ...] = (
    "format",
    "provenance",
    "not honoured",
    "rule off",
    "1 demand",
    "1 spread",
    "1 served",
    "2 latency",
    "3 residency",
    "4 replica capacity",
    "5 linking",
    "6 GPUs",
    "6 one operating point",
    "6 MIG",
    "6 memory",
    "6 tenants",
    "7 power",
    "7 kW per rack",
    "8 rack units",
    "9 uplink",
    "9 downlink",
    "10 inventory",
    "10 fleet",
    "10 ways",
    "10 site kind",
    "10 rollout",
    "10 installs",
    "11 export",
    "12 capex",
    "12 budget",
    "13 domain",
    "13 reserve",
    "13 exempt",
    "13 replica capacity",
    "13 uplink",
    "13 downlink",
    "13 policy",
    "13 shares",
    "14 moves",
    "14 steps",
    "14 pins",
    "15 jobs",
    "15 window",
    "15 hours",
    "15 gang",
    "16 carbon",
    "cost",
    "objective",
    "goals",
    "periods",
    "economics",
    "served share",
    "latency percentiles",
    "budget met",
    "certificate",
    "bound",
    "gap",
)
"""Every rule the auditor knows, by equation number or name; a violation names one of them."""


@dataclass(frozen=True)
class Violation:
    """One broken rule: which, of what, in words, and by how much (in the rule's own unit) where that is a number."""

    rule: str
    subject: str
    detail: str
    excess: float | None = None

    def __str__(self) -> str:
        return f"{self.rule}: {self.subject}: {self.detail}"


@dataclass(frozen=True)
class AuditReport:
    """The verdict on a plan. `rules_checked` counts the facts behind each rule: nothing passes by being empty."""

    passed: bool
    violations: tuple[Violation, ...]
    rules_checked: Mapping[str, int]
    bound_verified_usd_month: float | None  # recomputed from the certificate; None when it proves nothing
    constant_usd_month: float | None  # C0: penalties of the classes that no site may serve
    gap_verified: float | None
    notes: tuple[str, ...] = ()


@dataclass
class Findings:
    """Collects while the rules run; the only mutable thing in the auditor, and it never leaves it."""

    violations: list[Violation] = field(default_factory=list)
    checked: dict[str, int] = field(default_factory=lambda: dict.fromkeys(RULES, 0))
    notes: list[str] = field(default_factory=list)
    place: str = ""  # what a message says first: the period, the domain that failed

    def within(self, place: str) -> "Findings":
        """The same findings; what is told through it names the place."""
        return replace(self, place=", ".join(part for part in (self.place, place) if part))

    def counted(self, rule: str, facts: int) -> None:
        """Count facts of `rule` that hold."""
        self.checked[rule] += facts

    def check(self, rule: str, holds: bool, subject: str, detail: str, excess: Fraction | None = None) -> bool:
        """Count one fact of `rule`; when it does not hold, record the violation. Returns `holds`."""
        self.checked[rule] += 1
        if not holds:
            subject = f"{self.place}: {subject}" if self.place else subject
            self.violations.append(Violation(rule, subject, detail, None if excess is None else float(excess)))
        return holds

    def at_most(self, rule: str, used: Fraction | int, limit: Fraction | int | None, subject: str, unit: str) -> None:
        """Count the fact used ≤ limit; None is a limit that is off and counts nothing."""
        if limit is None:
            return
        if used <= limit:
            self.checked[rule] += 1
            return
        detail = f"{float(used):.9g} {unit} where {float(limit):.9g} are allowed"
        self.check(rule, False, subject, detail, Fraction(used) - limit)
