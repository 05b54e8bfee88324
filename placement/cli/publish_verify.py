"""nearserve publish verify: whether what stands is what was published, and by whom."""

from pathlib import Path
from typing import Any

import click

from placement.cli.common import Exit, emit_json, format_option
from placement.cli.publish_options import failures, opened, store_options


@click.command("verify", epilog="Example: nearserve publish verify --store published --allowed-signers s --identity me")
@click.argument("numbers", type=click.IntRange(min=1), nargs=-1, metavar="[N]...")
@store_options
@format_option
def command(numbers: tuple[int, ...], root: Path, output_format: str, **given: Any) -> None:
    """Check the generations N, by default all: every file's hash, the signatures, the ledger, and the link.

    With --allowed-signers and --identity a generation that is not signed by that identity is refused. Exit code 5
    and a line for each file that is not as it was published.
    """
    with failures():
        store = opened(root, **given)
        findings = store.verify(numbers or None)
        checked = len(numbers or store.state().standing) if not findings else 0
    if output_format == "json":
        emit_json({"passed": not findings, "findings": list(findings)})
    else:
        for finding in findings:
            click.echo(finding)
        signed = " and signed" if store.trusts and checked else ""
        good = f"verify: passed, {checked} generation{'s' * (checked != 1)} as published{signed}"
        click.echo(f"verify: FAILED, {len(findings)} findings" if findings else good)
    if findings:
        raise click.exceptions.Exit(Exit.AUDIT_FAILED)
