"""nearserve topology: what is known of every pair, and what is not."""

from pathlib import Path

import click

from placement.cli.common import emit_json, format_option, load_scenario, print_table, status_line


@click.command("topology", epilog="Example: nearserve topology atlas-2025 -o build/topology")
@click.argument("scenario")
@click.option(
    "-o",
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    help="Write graph.graphml and pairs.parquet there.",
)
@format_option
def command(scenario: str, output: Path | None, output_format: str) -> None:
    """Build the graph of SCENARIO from its measurements and show coverage: measured, inferred, unknown."""
    from placement.topology import build_pairs, write_topology  # noqa: PLC0415

    loaded = load_scenario(scenario)
    with status_line() as say:
        say("building the topology")
        topology = build_pairs(loaded)
    coverage = topology.coverage()
    unmapped = dict(sorted(topology.unmapped.items()))
    if output is not None:
        write_topology(topology, output)
    if output_format == "json":
        emit_json(
            {"coverage": coverage.to_dict("records"), "unmapped": unmapped, "output": str(output) if output else None}
        )
        return
    print_table(
        list(coverage.columns), coverage.astype(object).values.tolist(), title=f"Pairs of {loaded.document.name}"
    )
    if unmapped:
        count, examples = sum(unmapped.values()), ", ".join(list(unmapped)[:8])
        click.echo(f"\n{len(unmapped)} endpoints map nowhere ({count:,} records): {examples}")
    if output is not None:
        click.echo(f"\nwritten to {output}")
