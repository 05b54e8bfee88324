"""nearserve audit: a plan re-checked from its inputs alone."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from placement.cli.common import Exit, Failure, emit_json, format_option, load_scenario, print_table, status_line
from placement.datasets import UnknownDatasetError, dataset

if TYPE_CHECKING:
    from placement.audit import AuditReport


@click.command("audit", epilog="Example: nearserve audit my-plan --scenario my-scenario")
@click.argument("plan", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--scenario", help="Folder or bundled name; by default the bundled dataset that the plan names.")
@format_option
def command(plan: Path, scenario: str | None, output_format: str) -> None:
    """Re-check every rule and the cost of PLAN to the cent, without the solver, and verify its bound."""
    from placement.audit import audit  # noqa: PLC0415
    from placement.topology import build_pairs  # noqa: PLC0415

    loaded = load_scenario(scenario or named_in(plan))
    with status_line() as say:
        say("building the topology")
        pairs = build_pairs(loaded).pairs
        say("auditing")
        report = audit(plan, loaded, pairs)
    if output_format == "json":
        emit_json(_as_json(report))
    else:
        _print(report)
    if not report.passed:
        count = len(report.violations)
        raise click.exceptions.Exit(Exit.AUDIT_FAILED) if count else Failure(Exit.AUDIT_FAILED, "nothing was checked")


def named_in(plan: Path) -> str:
    """The scenario that the plan names, if it is a bundled one."""
    try:
        name = str(json.loads((plan / "plan.json").read_bytes())["scenario"])
        return str(dataset(name))
    except (OSError, ValueError, KeyError, TypeError, UnknownDatasetError) as error:
        raise Failure(Exit.USAGE, "say which scenario the plan is of: --scenario FOLDER") from error


def _as_json(report: "AuditReport") -> dict[str, object]:
    return {
        "passed": report.passed,
        "violations": [
            {"rule": v.rule, "subject": v.subject, "detail": v.detail, "excess": str(v.excess)}
            for v in report.violations
        ],
        "rules_checked": dict(report.rules_checked),
        "bound_verified_usd_month": report.bound_verified_usd_month,
        "gap": report.gap_verified,
        "notes": list(report.notes),
    }


def _verdict(broken: bool, facts: int) -> str:
    """A rule that the scenario does not state holds of nothing, and is not said to hold."""
    return "broken" if broken else "holds" if facts else "not stated"


def _print(report: "AuditReport", most: int = 50) -> None:
    broken = {v.rule for v in report.violations}
    rows = [(rule, count, _verdict(rule in broken, count)) for rule, count in report.rules_checked.items()]
    print_table(("rule", "facts checked", ""), rows)
    click.echo()
    for violation in report.violations[:most]:
        click.echo(f"{violation.rule}: {violation.subject}: {violation.detail}")
    if len(report.violations) > most:
        click.echo(f"... and {len(report.violations) - most} more; --format json lists them all")
    for note in report.notes:
        click.echo(f"note: {note}")
    if report.bound_verified_usd_month is not None and report.gap_verified is not None:
        click.echo(
            f"verified bound: {report.bound_verified_usd_month:,.2f} USD a month, gap {100 * report.gap_verified:.2f} %"
        )
    click.echo("audit: passed" if report.passed else f"audit: FAILED, {len(report.violations)} violations")
