"""nearserve plan: decide, prove, audit, and only then write."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from placement.cli.common import (
    Exit,
    Failure,
    emit_json,
    finding_json,
    format_option,
    load_scenario,
    print_findings,
    print_table,
    status_line,
)

if TYPE_CHECKING:
    from placement.plan.document import PlanDocument
    from placement.planning import Planned, Progress
    from placement.scenario import Scenario


@click.command("plan", epilog="Example: nearserve plan atlas-2025 -o my-plan --gap 0.03 --time-limit 280")
@click.argument("scenario")
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="Folder of the plan.")
@click.option(
    "--gap", type=click.FloatRange(0, 1), default=1e-4, show_default=True, help="Stop when proven this close."
)
@click.option("--time-limit", type=click.FloatRange(min=1), help="Seconds for the whole run.")
@click.option("--work", type=click.IntRange(min=0), help="Rounds of search: replays a run byte for byte.")
@click.option("--method", type=click.Choice(["auto", "exact", "scale"]), default="auto", show_default=True)
@click.option("--force", is_flag=True, help="Replace a plan that stands there.")
@format_option
def command(
    scenario: str,
    output: Path,
    gap: float,
    time_limit: float | None,
    work: int | None,
    method: str,
    force: bool,
    output_format: str,
) -> None:
    """Plan SCENARIO (a folder or a bundled name): which models and how many GPUs go to which site.

    The plan is audited before it is written; what cannot be honoured is refused by name.
    """
    from placement.plan.folder import PlanExistsError  # noqa: PLC0415
    from placement.planning import (  # noqa: PLC0415
        AuditFailedError,
        InfeasibleError,
        LaterRulesError,
        NoPlanError,
        Request,
        plan_scenario,
    )

    loaded = load_scenario(scenario)
    request = Request(method, gap, time_limit, work)  # type: ignore[arg-type]
    try:
        with status_line() as say:
            planned = plan_scenario(loaded, output, request, replace=force, progress=lambda p: say(_line(p)))
    except PlanExistsError as error:
        raise Failure(Exit.USAGE, str(error)) from error
    except LaterRulesError as error:
        print_findings(error.findings)
        message = "this version cannot honour these rules, so that nothing was planned; remove them or leave them empty"
        raise Failure(Exit.BAD_DATA, message, {"findings": [finding_json(f) for f in error.findings]}) from error
    except InfeasibleError as error:
        raise Failure(Exit.INFEASIBLE, str(error)) from error
    except NoPlanError as error:
        raise Failure(Exit.NO_PLAN, f"{error}; give more --time-limit") from error
    except AuditFailedError as error:
        message = f"the plan failed its audit and was not written:\n{error}"
        raise Failure(Exit.AUDIT_FAILED, message) from error
    if output_format == "json":
        emit_json(planned.document.model_dump(mode="json", by_alias=True))
    else:
        print_plan(planned, loaded)
        click.echo(f"\nwritten to {output} in {planned.seconds:.0f} s")


def _line(progress: "Progress") -> str:
    """What the status line says."""
    text = f"{progress.seconds:5.0f} s  {progress.stage}"
    if progress.objective_usd is not None:
        text += f"  plan {progress.objective_usd:,.0f} USD/month"
    if progress.bound_usd is not None:
        text += f"  bound {progress.bound_usd:,.0f}"
    if progress.objective_usd and progress.bound_usd is not None:
        text += f"  gap {100 * (1 - progress.bound_usd / progress.objective_usd):.2f} %"
    return text


def print_plan(planned: "Planned", scenario: "Scenario") -> None:
    """The plan for people: by country, then what it comes to."""
    document = planned.document
    print_table(
        ("country", "sites", "servers", "GPUs", "models", "replicas"),
        _by_country(document, scenario),
        title=f"Plan of {document.scenario}",
    )
    click.echo()
    print_table(("", ""), _totals(document, scenario))
    if document.unserved:
        print_unserved(document)


def _by_country(document: "PlanDocument", scenario: "Scenario", most: int = 20) -> list[tuple[object, ...]]:
    """Countries by GPUs, the rest in one line."""
    country = dict(zip(scenario.table("sites")["site"], scenario.table("sites")["country"], strict=True))
    gpus = dict(zip(scenario.table("servers")["server"], scenario.table("servers")["gpus"], strict=True))
    model = dict(zip(scenario.table("shapes")["shape"], scenario.table("shapes")["model"], strict=True))
    found: dict[str, tuple[set[str], int, int, set[str], int]] = {}
    for row in document.servers:
        sites, servers, count, models, replicas = found.get(country[row.site], (set(), 0, 0, set(), 0))
        entry = (sites | {row.site}, servers + row.count, count + row.count * int(gpus[row.server]), models, replicas)
        found[country[row.site]] = entry
    for replica in document.replicas:
        sites, servers, count, models, replicas = found[country[replica.site]]
        found[country[replica.site]] = (
            sites,
            servers,
            count,
            models | {model[replica.shape]},
            replicas + replica.count,
        )
    ordered = sorted(found.items(), key=lambda item: (-item[1][2], item[0]))
    rows = [(name, len(s), k, g, len(m), y) for name, (s, k, g, m, y) in ordered[:most]]
    rest = [entry for _, entry in ordered[most:]]
    if rest:
        models = len(set().union(*(e[3] for e in rest)))
        rows.append(
            (f"{len(rest)} more", sum(len(e[0]) for e in rest), sum(e[1] for e in rest), sum(e[2] for e in rest), models,
             sum(e[4] for e in rest))
        )  # fmt: skip
    return rows


def _totals(document: "PlanDocument", scenario: "Scenario") -> list[tuple[str, str]]:
    gpus = dict(zip(scenario.table("servers")["server"], scenario.table("servers")["gpus"], strict=True))
    model = dict(zip(scenario.table("shapes")["shape"], scenario.table("shapes")["model"], strict=True))
    total = sum(row.count * int(gpus[row.server]) for row in document.servers)
    new = sum(row.new * int(gpus[row.server]) for row in document.servers)
    latency, cost = document.latency, document.cost
    ms = [("–" if value is None else f"{value:,.0f}") for value in (latency.p50_ms, latency.p95_ms, latency.p99_ms)]
    paid = ", ".join(
        f"{kind.replace('_', ' ')} {usd:,.0f}"
        for kind, usd in sorted(cost.model_dump().items(), key=lambda item: -item[1])
        if kind != "total" and usd
    )
    rows = [
        ("sites", f"{len({row.site for row in document.servers}):,} of {len(scenario.table('sites')):,}"),
        ("GPUs", f"{total:,} ({new:,} new)"),
        ("models", f"{len({model[row.shape] for row in document.replicas})}"),
        ("cost", f"{cost.total:,.2f} USD a month"),
        ("", paid),
        ("planned latency", f"p50 {ms[0]} ms, p95 {ms[1]} ms, p99 {ms[2]} ms"),
        ("served", f"{100 * document.served_share:.3f} % of requests"),
    ]
    if document.bound_verified_usd_month is not None and document.gap is not None:
        rows.append(("verified bound", f"{document.bound_verified_usd_month:,.2f} USD a month"))
        rows.append(("verified gap", f"{100 * document.gap:.2f} % net of what nobody can serve"))
    else:
        rows.append(("verified bound", "none"))
    return rows


def print_unserved(document: "PlanDocument", most: int = 8) -> None:
    """The dearest of what is left unserved, by blocking rule."""
    by_rule: dict[str, tuple[int, float]] = {}
    for row in document.unserved:
        count, usd = by_rule.get(row.reason, (0, 0.0))
        by_rule[row.reason] = (count + 1, usd + row.usd_month)
    ordered = sorted(by_rule.items(), key=lambda item: (-item[1][1], item[0]))
    click.echo()
    rows = [(f"{count:,}", f"{usd:,.0f}", reason) for reason, (count, usd) in ordered[:most]]
    print_table(("classes", "USD a month", "blocked by"), rows, title="Unserved")
    if len(ordered) > most:
        click.echo(f"... {len(ordered) - most} more reasons in plan.json")
