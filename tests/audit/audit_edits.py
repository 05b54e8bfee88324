"""Changes to valid plans: values of plan.json by their path, columns of a route; and what an audit must name."""

from collections.abc import Sequence
from typing import Any, Protocol

from placement.audit import AuditReport

Routes = tuple[tuple[Any, ...], ...]


class Planted(Protocol):
    """A change, and the rule that it breaks."""

    @property
    def rule(self) -> str: ...
    @property
    def what(self) -> str: ...


def named(case: Planted) -> str:
    """How a test of the change is called."""
    return f"{case.rule}: {case.what}"


def assert_named(case: Planted, report: AuditReport) -> None:
    """The audit fails, and one of the rules that it names is the one that was broken."""
    assert not report.passed
    assert case.rule in {violation.rule for violation in report.violations}, [str(v) for v in report.violations]


def with_values(document: dict[str, Any], *edits: tuple[str, Any]) -> dict[str, Any]:
    """The document with values at dotted paths replaced; "-" removes one, `+` at the end of a path adds one."""
    for path, value in edits:
        *way, last = [int(step) if step.isdigit() else step for step in path.split(".")]
        place: Any = document
        for step in way:
            place = place[step]
        if last == "+":
            place.append(value)
        elif value == "-":
            del place[last]
        else:
            place[last] = value
    return document


def with_columns(routes: Routes, names: Sequence[str], number: int, columns: dict[str, Any]) -> Routes:
    """The routes with columns of one of them changed."""
    row = tuple({**dict(zip(names, routes[number], strict=True)), **columns}.values())
    return (*routes[:number], row, *routes[number + 1 :])
