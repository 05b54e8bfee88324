"""nearserve probe agent: measures its targets for months, and keeps what it measured until the collector has it."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from placement.cli.common import Exit, Failure, emit_json, format_option, print_table

if TYPE_CHECKING:
    from probes.agent.run import Plan
    from probes.agent.tally import Ended

SHOWN = 20


@click.command("agent", epilog="Example: nearserve probe agent /etc/nearserve/agent.toml --check")
@click.argument("config", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--check", is_flag=True, help="Only check the configuration and the targets; send nothing.")
@click.option("--once", is_flag=True, help="Measure every target once, deliver, and end.")
@format_option
def command(config: Path, check: bool, once: bool, output_format: str) -> None:
    """Run the probe agent of CONFIG (TOML) until SIGTERM; SIGHUP reads CONFIG and the targets anew."""
    if check and once:
        raise click.UsageError("--check and --once exclude each other")
    from probes.agent import run  # noqa: PLC0415
    from probes.agent.spool import SpoolLockedError  # noqa: PLC0415
    from probes.document import DocumentError  # noqa: PLC0415
    from probes.privileges import PrivilegeError  # noqa: PLC0415
    from probes.wire.keys import KeyFileError  # noqa: PLC0415

    try:
        if check:
            _show_plan(run.check(config), output_format)
            return
        ended = run.run(config, once)
    except DocumentError as error:
        details = {"faults": [str(fault) for fault in error.faults]}
        raise Failure(Exit.BAD_DATA, f"the agent cannot run with {config}:\n{error}", details) from error
    except SpoolLockedError as error:
        raise Failure(Exit.STALE, str(error)) from error
    except (PrivilegeError, KeyFileError, OSError) as error:
        raise Failure(Exit.BAD_DATA, str(error)) from error
    if once:
        _show_ended(ended, output_format)


def _show_plan(plan: "Plan", output_format: str) -> None:
    refusals = {target: str(refusal) for target, refusal in plan.refusals.items()}
    if output_format == "json":
        names = ("agent", "source", "targets", "methods", "unused", "sending")
        emit_json({name: getattr(plan, name) for name in names} | {"refusals": refusals})
        return
    print_table(("method", "targets"), list(plan.methods.items()), title=f"{plan.agent}, measuring from {plan.source}")
    click.echo(f"sends {plan.sending:.1%} of the time" + (": rounds will be missed" if plan.sending > 1 else ""))
    for method, targets in plan.unused.items():
        click.echo(f"{targets:,} targets name {method}, which has no table [methods.{method}]: not measured by it")
    for target, why in list(refusals.items())[:SHOWN]:
        click.echo(f"{target} will be refused: {why}")
    if len(refusals) > SHOWN:
        click.echo(f"... and {len(refusals) - SHOWN:,} more; --format json lists them all")


def _show_ended(ended: "Ended", output_format: str) -> None:
    tally, spool = ended.tally, ended.spool
    figures = {
        "targets": ended.targets,
        "measured": len(tally.measured),
        "answered": len(tally.answered),
        "records": tally.records,
        "delivered": ended.delivered,
        "waiting": spool.depth,
    }
    if output_format == "json":
        names = ("bytes", "held", "dropped", "lost", "moved_aside")
        emit_json(figures | {"spool": {name: getattr(spool, name) for name in names}})
        return
    print_table(tuple(figures), [["" if figure is None else figure for figure in figures.values()]])
    if len(tally.measured) < ended.targets:
        click.echo("not all were measured: the log says why, and --check which never will be")
    if ended.delivered is None:
        click.echo("no collector is configured: records wait in the spool")
    if spool.dropped or spool.lost:
        click.echo(f"{spool.dropped:,} records dropped and {spool.lost:,} lost, over all starts of this agent")
