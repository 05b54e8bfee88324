"""nearserve plan: decide, prove, audit, and only then write."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
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
)
from placement.cli.plan_progress import told
from placement.cli.plan_view import print_plan
from placement.interrupting import AbortedError, left_behind, stop_on_signals

if TYPE_CHECKING:
    from placement.planning import Planned
    from placement.scenario import Scenario

DEFAULT_SECONDS = 300.0
KILLED = 128
"""Plus the number of the signal: how shells name a process that a signal ended."""


@click.command("plan", epilog="Example: nearserve plan atlas-2025 -o my-plan --gap 0.03 --time-limit 280")
@click.argument("scenario")
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="Folder of the plan.")
@click.option(
    "--gap", type=click.FloatRange(0, 1), default=1e-4, show_default=True, help="Stop when proven this close."
)
@click.option(
    "--time-limit",
    type=click.FloatRange(min=1),
    help="Seconds for all of it, reading, proof and audit included.  [default: 300 without --work]",
)
@click.option("--work", type=click.IntRange(min=0), help="Rounds of search: replays a run byte for byte.")
@click.option("--sweeps", type=click.IntRange(min=1), help="Sweeps of the bound, as a plan's provenance records them.")
@click.option("--polish", type=click.IntRange(min=0), help="Rounds of annealing with N-1, as recorded there, too.")
@click.option("--branchings", type=click.IntRange(min=0), help="Rounds of branching for the proof, as recorded there.")
@click.option("--method", type=click.Choice(["auto", "exact", "scale"]), default="auto", show_default=True)
@click.option(
    "--start",
    metavar="PLAN",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Begin with this plan and its prices, as yesterday's: much quicker where little has changed.",
)
@click.option(
    "--pin", "pins", multiple=True, metavar="MODEL@SITE:N[-M]", help="Hold N (to M) replicas there; its price is told."
)
@click.option("--trace", metavar="FILE.csv", type=click.Path(path_type=Path), help="Plan, bound and gap over time.")
@click.option("--force", is_flag=True, help="Replace a plan that stands there.")
@format_option
def command(
    scenario: str,
    output: Path,
    gap: float,
    time_limit: float | None,
    work: int | None,
    sweeps: int | None,
    polish: int | None,
    branchings: int | None,
    method: str,
    start: Path | None,
    pins: tuple[str, ...],
    trace: Path | None,
    force: bool,
    output_format: str,
) -> None:
    """Plan SCENARIO (a folder or a bundled name): which models and how many GPUs go to which site.

    The plan is audited before it is written; what cannot be honoured is refused by name. Ctrl-C or SIGTERM ends the
    run early with the best plan found, audited and written; a second one ends it at once with nothing written.
    """
    from placement.pinning import parse_pin  # noqa: PLC0415
    from placement.planning import plan_scenario  # noqa: PLC0415
    from placement.solving import Request  # noqa: PLC0415

    began = monotonic()
    seconds = DEFAULT_SECONDS if time_limit is None and work is None else time_limit
    with ended(), stop_on_signals() as stop:
        loaded = load_scenario(scenario)
        with _failures(scenario), told(trace, seconds) as tell:
            wishes = tuple(parse_pin(text) for text in pins)
            request = Request(method, gap, seconds, work, sweeps, polish, branchings, wishes, start)  # type: ignore[arg-type]
            planned = plan_scenario(
                loaded, output, request, overwrite=force, progress=tell, interrupted=stop, began=began
            )
        _say(planned, loaded, output, seconds, output_format)


def _say(planned: "Planned", scenario: "Scenario", output: Path, limit_s: float | None, output_format: str) -> None:
    """The plan on stdout, what is to be said of the run on stderr or below it."""
    if planned.interrupted:
        click.echo("nearserve: interrupted; this is the best plan found by then, audited like any other", err=True)
    if planned.needed_s is not None and limit_s is not None:
        text = f"all but the search took {planned.needed_s:.1f} s, more than the limit of {limit_s:g} s"
        click.echo(f"nearserve: {text}", err=True)
    if output_format == "json":
        emit_json(planned.document.model_dump(mode="json", by_alias=True))
        return
    print_plan(planned.document, scenario)
    if planned.pins_usd_month is not None:
        click.echo(f"\nthe pins add {planned.pins_usd_month:,.2f} USD a month, against a plan without them")
    click.echo(f"\nwritten to {output} in {planned.seconds:.0f} s")


@contextmanager
def _failures(scenario: str) -> Iterator[None]:
    """What can go wrong, as the contract's exit codes."""
    from placement.pinning import PinError  # noqa: PLC0415
    from placement.plan.folder import PlanExistsError  # noqa: PLC0415
    from placement.planning import AuditFailedError, LaterRulesError  # noqa: PLC0415
    from placement.problem import UnplannableError  # noqa: PLC0415
    from placement.solving import InfeasibleError, NoPlanError, TooLargeError  # noqa: PLC0415

    try:
        yield
    except (PinError, PlanExistsError) as error:
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
        raise Failure(Exit.NO_PLAN, str(error)) from error
    except AuditFailedError as error:
        message = f"the plan failed its audit and was not written:\n{error}"
        raise Failure(Exit.AUDIT_FAILED, message) from error


@contextmanager
def ended() -> Iterator[None]:
    """The end of a run, also by a second signal, and with a solver that nobody waits for any more."""
    code = 0
    try:
        yield
    except AbortedError as error:
        click.echo(f"nearserve: ended by a second {error}; nothing was written", err=True)
        code = KILLED + error.number
    except click.ClickException as error:
        if not left_behind():
            raise
        error.show()
        code = error.exit_code
    if left_behind():
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)  # tidying up would pull the ground from under the solver's thread
    if code:
        raise click.exceptions.Exit(code)
