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
    status_line,
)
from placement.cli.plan_view import print_plan

if TYPE_CHECKING:
    from placement.planning import Progress


DEFAULT_SECONDS = 300.0


@click.command("plan", epilog="Example: nearserve plan atlas-2025 -o my-plan --gap 0.03 --time-limit 280")
@click.argument("scenario")
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="Folder of the plan.")
@click.option(
    "--gap", type=click.FloatRange(0, 1), default=1e-4, show_default=True, help="Stop when proven this close."
)
@click.option("--time-limit", type=click.FloatRange(min=1), help="Seconds to plan in.  [default: 300 without --work]")
@click.option("--work", type=click.IntRange(min=0), help="Rounds of search: replays a run byte for byte.")
@click.option("--sweeps", type=click.IntRange(min=1), help="Sweeps of the bound, as a plan's provenance records them.")
@click.option("--method", type=click.Choice(["auto", "exact", "scale"]), default="auto", show_default=True)
@click.option(
    "--pin", "pins", multiple=True, metavar="MODEL@SITE:N[-M]", help="Hold N (to M) replicas there; its price is told."
)
@click.option("--force", is_flag=True, help="Replace a plan that stands there.")
@format_option
def command(
    scenario: str,
    output: Path,
    gap: float,
    time_limit: float | None,
    work: int | None,
    sweeps: int | None,
    method: str,
    pins: tuple[str, ...],
    force: bool,
    output_format: str,
) -> None:
    """Plan SCENARIO (a folder or a bundled name): which models and how many GPUs go to which site.

    The plan is audited before it is written; what cannot be honoured is refused by name.
    """
    from placement.pinning import PinError, parse_pin  # noqa: PLC0415
    from placement.plan.folder import PlanExistsError  # noqa: PLC0415
    from placement.planning import AuditFailedError, LaterRulesError, plan_scenario  # noqa: PLC0415
    from placement.problem import UnplannableError  # noqa: PLC0415
    from placement.solving import InfeasibleError, NoPlanError, Request, TooLargeError  # noqa: PLC0415

    loaded = load_scenario(scenario)
    seconds = DEFAULT_SECONDS if time_limit is None and work is None else time_limit
    try:
        wishes = tuple(parse_pin(text) for text in pins)
        request = Request(method, gap, seconds, work, sweeps, wishes)  # type: ignore[arg-type]
        with status_line() as say:
            planned = plan_scenario(loaded, output, request, overwrite=force, progress=lambda p: say(_line(p)))
    except PinError as error:
        raise Failure(Exit.USAGE, str(error)) from error
    except PlanExistsError as error:
        raise Failure(Exit.USAGE, str(error)) from error
    except LaterRulesError as error:
        print_findings(error.findings)
        message = "this version cannot honour these rules, so that nothing was planned; remove them or leave them empty"
        raise Failure(Exit.BAD_DATA, message, {"findings": [finding_json(f) for f in error.findings]}) from error
    except UnplannableError as error:
        raise Failure(Exit.BAD_DATA, str(error)) from error
    except TooLargeError as error:
        message = f"{error}; plan with --method exact and a long --time-limit, or leave these rules out"
        raise Failure(Exit.BAD_DATA, message) from error
    except InfeasibleError as error:
        hint = f"`nearserve explain {scenario}` says what contradicts and what would help"
        raise Failure(Exit.INFEASIBLE, f"{error}; {hint}") from error
    except NoPlanError as error:
        raise Failure(Exit.NO_PLAN, f"{error}; give more --time-limit") from error
    except AuditFailedError as error:
        message = f"the plan failed its audit and was not written:\n{error}"
        raise Failure(Exit.AUDIT_FAILED, message) from error
    if output_format == "json":
        emit_json(planned.document.model_dump(mode="json", by_alias=True))
    else:
        print_plan(planned.document, loaded)
        if planned.pins_usd_month is not None:
            click.echo(f"\nthe pins add {planned.pins_usd_month:,.2f} USD a month, against a plan without them")
        click.echo(f"\nwritten to {output} in {planned.seconds:.0f} s")


def _line(progress: "Progress") -> str:
    """What the status line says."""
    text = f"{progress.seconds:5.0f} s  {progress.stage}"
    if progress.objective_usd is not None:
        text += f"  plan {progress.objective_usd:,.0f} USD/month"
    if progress.bound_usd is not None:
        text += f"  bound {progress.bound_usd:,.0f}"
    if progress.gap is not None:
        text += f"  net gap {100 * progress.gap:.2f} %"
    return text
