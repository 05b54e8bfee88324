"""nearserve check: everything that is wrong, missing, assumed, or not honoured yet."""

import click

from placement.cli.common import (
    Exit,
    bad_data,
    emit_json,
    finding_json,
    format_option,
    print_findings,
    print_table,
    scenario_folder,
)


@click.command("check", epilog="Example: nearserve check atlas-2025")
@click.argument("scenario")
@format_option
@click.pass_context
def command(context: click.Context, scenario: str, output_format: str) -> None:
    """Validate SCENARIO (a folder or a bundled name): all errors at once, each with its place and its mend."""
    from placement.scenario import inspect, rules_on  # noqa: PLC0415

    folder = scenario_folder(scenario)
    report = inspect(folder)
    if report.scenario is None or any(f.severity == "error" for f in report.findings):
        raise bad_data(folder, report.findings)
    names = ("table", "column", "rows", "value", "unit", "why")
    assumed = [{name: getattr(a, name) for name in names} for a in report.assumed]
    rules = rules_on(report.scenario)
    if output_format == "json":
        emit_json(
            {
                "scenario": report.scenario.document.name,
                "findings": [finding_json(f) for f in report.findings],
                "assumed": assumed,
                "later": [finding_json(f) for f in report.later],
                "rules": [{"rule": rule.rule, "says": rule.says} for rule in rules],
                "tables": {name: len(report.scenario.table(name)) for name in sorted(report.scenario.tables)},
            }
        )
        context.exit(Exit.OK)
    print_findings(report.findings)
    sizes = [(name, len(report.scenario.table(name))) for name in sorted(report.scenario.tables)]
    print_table(("table", "rows"), [row for row in sizes if row[1]], title=f"{report.scenario.document.name}: valid")
    said = ", ".join(rule.says for rule in rules)
    click.echo(f"\nRules on: {said or 'those of every scenario only'}")
    if assumed:
        click.echo()
        rows = [[str(a[name]) if name != "rows" else a[name] for name in names] for a in assumed]
        print_table(names, rows, title="Assumed, because the scenario does not say")
    if report.later:
        click.echo("\n`plan` will refuse, because this version cannot honour:")
        for finding in report.later:
            click.echo(f"  {finding.message}")
