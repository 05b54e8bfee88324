"""nearserve topology: what is known of every pair, and what is not."""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from placement.cli.common import emit_json, format_option, load_scenario, print_table, status_line

if TYPE_CHECKING:
    from placement.frames import Row

SHOWN = {
    "country": "country",
    "regions": "regions",
    "users": "users",
    "measured": "measured",
    "inferred": "inferred",
    "unknown": "unknown",
    "unknown_demand": "unknown, % of demand",
    "reachable_users": "users with a site, %",
    "nearest_p50_ms": "nearest site, ms",
}
COUNTS = {"regions", "users", "measured", "inferred", "unknown"}
SHARES = {"unknown_demand", "reachable_users"}


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
    loaded = load_scenario(scenario)
    from placement.frames import records  # noqa: PLC0415
    from placement.topology import build_pairs  # noqa: PLC0415
    from placement.topology.export import write_graphml, write_pairs  # noqa: PLC0415

    with status_line() as say:
        say("building the topology")
        topology = build_pairs(loaded)
        if output is not None:
            say("writing")
            output.mkdir(parents=True, exist_ok=True)
            write_graphml(topology, output / "graph.graphml")
            write_pairs(topology, output / "pairs.parquet")
    coverage = topology.coverage()
    nowhere = {"unmapped": dict(sorted(topology.unmapped.items())), "stale": dict(sorted(topology.stale.items()))}
    if output_format == "json":
        rows = [{name: _plain(value) for name, value in row.items()} for row in records(coverage)]
        emit_json({"coverage": rows, **nowhere, "output": str(output) if output else None})
        return
    cells = [[_cell(row, name) for name in SHOWN] for row in records(coverage)]
    print_table(list(SHOWN.values()), cells, title=f"Pairs of {loaded.document.name}")
    for what, names in nowhere.items():
        if names:
            examples = ", ".join(list(names)[:8])
            click.echo(f"\n{len(names)} {what} endpoints ({sum(names.values()):,} records): {examples}")
    if output is not None:
        click.echo(f"\nwritten to {output}")


def _cell(row: "Row", name: str) -> object:
    """A figure for people: shares as percent, absent as nothing."""
    value = _plain(row[name])
    if value is None or isinstance(value, str):
        return value or ""
    return round(100 * value, 1) if name in SHARES else int(value) if name in COUNTS else value


def _plain(value: Any) -> Any:
    """NaN is absent: null in JSON, empty in a table."""
    return None if isinstance(value, float) and math.isnan(value) else value
