"""nearserve publish rollback: readers are led back."""

from pathlib import Path
from typing import Any

import click

from placement.cli.common import emit_json, format_option
from placement.cli.publish_options import as_json, failures, opened, store_options, switch_options, user


@click.command("rollback", epilog='Example: nearserve publish rollback --store published --reason "fra overloaded"')
@click.option("--to", "number", type=click.IntRange(min=1), metavar="N", help="To N.  [default: the one before]")
@store_options
@switch_options
@format_option
def command(
    number: int | None,
    root: Path,
    by: str | None,
    reason: str,
    take_over: bool,
    accept_clock: bool,
    output_format: str,
    **given: Any,
) -> None:
    """Lead readers back to an earlier generation, which is verified before.

    What was current since does not come back by itself: publishing the same content is refused (exit code 6) until
    `nearserve publish plan --again`. With --to N it also sets right a link that somebody moved by hand.
    """
    with failures(), opened(root, **given).writing(astray=number is not None) as writer:
        generation = writer.rollback(
            number, by=user() if by is None else by, reason=reason, take_over=take_over, accept_clock=accept_clock
        )
    if output_format == "json":
        emit_json(as_json(generation))
    else:
        click.echo(f"rolled back: {root / 'current'} leads to {generation.name}")
