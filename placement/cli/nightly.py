"""nearserve nightly: from measurements to what is published, unattended."""

import sys
import tomllib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from placement.cli.common import Exit, Failure, emit_json, format_option, status_line
from placement.cli.plan import ended
from placement.interrupting import stop_on_signals


@click.command(
    "nightly",
    epilog="Example: nearserve nightly nightly.toml --dry-run, then nearserve nightly nightly.toml (docs/nightly.md)",
)
@click.argument("config", type=click.Path(path_type=Path))
@click.option("--dry-run", is_flag=True, help="Do everything but publish, and say what would be published.")
@click.option("--fresh", is_flag=True, help="Take in new inputs, also where a night was broken off and could go on.")
@click.option(
    "--as-of",
    type=click.DateTime(["%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%d"]),
    metavar="TIME",
    help="That ages are counted to and demand is forecast from, as 2026-12-01T02:00:00Z.  [default: now]",
)
@format_option
def command(config: Path, dry_run: bool, fresh: bool, as_of: datetime | None, output_format: str) -> None:
    """Do a night's work as CONFIG (TOML) says: ingest, check, topology, plan, audit, diff, gates, feeds, publish.

    Whatever goes wrong, nothing is published, the exit code says what it was, and so do the metrics. A night that was
    killed goes on where it stood. SIGTERM ends the search early with the best plan so far, a second one ends it all.
    """
    now = datetime.now(UTC) if as_of is None else as_of.replace(tzinfo=UTC)
    with ended(), stop_on_signals() as stop, status_line() as say:
        told = _run(config, now, dry_run, fresh, stop, say)
        if output_format == "json":
            emit_json(told)
        elif "run" in told:
            from placement.nightly.report import lines  # noqa: PLC0415

            click.echo("\n".join(lines(told)))
        sys.stdout.flush()
        if told["exit_code"]:
            if "run" not in told:
                click.echo(f"nearserve: {told['message']}", err=True)
            raise click.exceptions.Exit(told["exit_code"])


def _run(config: Path, now: datetime, dry_run: bool, fresh: bool, stop: Any, say: Any) -> dict[str, Any]:
    """The night's report."""
    from placement.nightly.config import load  # noqa: PLC0415
    from placement.nightly.faults import Fault  # noqa: PLC0415
    from placement.nightly.nightly import refuse, run_night  # noqa: PLC0415
    from probes.document import DocumentError  # noqa: PLC0415
    from probes.log import to_stderr  # noqa: PLC0415

    if not config.exists():
        raise Failure(Exit.USAGE, f"{config}: there is no such file; docs/nightly.md shows one")
    if not sys.stderr.isatty():
        to_stderr(limited=False)
    else:
        _quiet()
    try:
        wanted = load(config)
    except DocumentError as error:
        textfile, state = _as_far_as_told(config)
        return refuse(textfile, state, now, Fault("bad_configuration", str(error)), "configuration")
    return run_night(wanted, now, dry_run=dry_run, fresh=fresh, interrupted=stop, tell=say)


def _quiet() -> None:
    """At a terminal the report says it all; the log is for who is not there."""
    import logging  # noqa: PLC0415

    import structlog  # noqa: PLC0415

    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))


def _as_far_as_told(config: Path) -> tuple[str | None, Path | None]:
    """(textfile, state) of a configuration that is faulty elsewhere, so that its faults are told where one looks."""
    try:
        values = tomllib.loads(config.read_text("utf-8"))
        base = config.resolve().parent
        textfile = values.get("metrics", {}).get("textfile")
        state = values.get("state", "nightly-state")
    except (OSError, ValueError, AttributeError):
        return None, None
    return str(base / textfile) if isinstance(textfile, str) else None, base / state if isinstance(state, str) else None
