"""What a check has to say: findings, assumed figures, and the error that carries them."""

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Literal

Severity = Literal["error", "warning", "later"]
_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong, doubtful, or of a later release.

    `row` is the line of the file (the header is line 1; a Parquet row counts as if it had a header), None where the
    file as a whole is meant. `value` is the offending text, shortened. `rule` is a fixed name, for programs.
    """

    rule: str
    file: str
    message: str
    mend: str
    row: int | None = None
    column: str = ""
    value: str = ""
    severity: Severity = "error"

    def __str__(self) -> str:
        place = self.file + (f":{self.row}" if self.row is not None else "")
        what = f" {self.column}" if self.column else ""
        value = f" = {self.value!r}" if self.value else ""
        return f"{place}:{what}{value}: {self.message}. {self.mend}"


@dataclass(frozen=True, slots=True)
class Assumed:
    """A figure that the scenario does not give: `rows` cells of a column were filled with `value`."""

    table: str
    column: str
    rows: int
    value: str
    unit: str
    why: str


class ScenarioError(ValueError):
    """A scenario that cannot be planned; `findings` holds every error, warnings and later rules after them."""

    def __init__(self, findings: Sequence[Finding]) -> None:
        self.findings = tuple(findings)
        errors = [finding for finding in self.findings if finding.severity == "error"]
        lines = [str(finding) for finding in errors[:_SHOWN]]
        more = len(errors) - len(lines)
        super().__init__("\n".join(lines + ([f"and {more} more errors"] if more > 0 else [])))


def shortened(value: object, length: int = 60) -> str:
    """`value` as one line of printable text, at most `length` characters."""
    try:
        said = str(value)[: 4 * length]
    except (RecursionError, ValueError):  # nested without end, or an integer of thousands of digits
        said = f"({type(value).__name__})"
    text = "".join(letter if letter.isprintable() else "�" for letter in said)
    return text if len(text) <= length else text[: length - 1] + "…"


def nearest(name: str, known: Sequence[str]) -> str:
    """`Did you mean 'x'?` for the known name most like `name`, else what is known, shortened."""
    folded = {other.casefold(): other for other in reversed(known)}
    close = get_close_matches(name.casefold(), list(folded), n=1, cutoff=0.6)
    if close:
        return f"Did you mean {shortened(folded[close[0]])!r}?"
    if not known:
        return "There are none."
    listed = ", ".join(shortened(name) for name in sorted(known)[:8])
    return f"Known: {listed}{', …' if len(known) > 8 else ''}."


def in_order(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """Errors first, then by file, row and column: the same order whatever found them first."""
    rank = {"error": 0, "warning": 1, "later": 2}
    key = [
        (rank[f.severity], f.file, f.row if f.row is not None else 0, f.column, f.rule, f.value, f.message)
        for f in findings
    ]
    return tuple(dict.fromkeys(findings[i] for i in sorted(range(len(findings)), key=key.__getitem__)))
