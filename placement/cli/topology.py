"""nearserve topology: what is known of every pair; and `nearserve topology diff`, what moved between two days."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from placement.cli.common import emit_json, format_option, load_scenario, status_line, writing_to
from placement.cli.lazy import LazyGroup
from placement.cli.topology_view import as_json, show

if TYPE_CHECKING:
    from placement.scenario import Scenario
    from placement.topology import Topology

COMMANDS = {"diff": ("placement.cli.topology_diff", "What moved between two days, and whether a plan still holds.")}


class _Topology(LazyGroup):
    """Takes a scenario, unless the first argument is the name of a command; a folder of that name is `./diff`."""

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        """The group's own context, or that of `of_scenario` under the group's name, so that nothing is typed more."""
        if args and args[0] in self.modules:
            return super().make_context(info_name, args, parent, **extra)
        return of_scenario.make_context(info_name, args, parent, **extra)


class _OfScenario(click.Command):
    """Lists the group's commands below its own options."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Options, then commands."""
        super().format_options(ctx, formatter)
        command.format_commands(ctx, formatter)


@click.command(
    "topology",
    cls=_OfScenario,
    epilog="Example: nearserve topology atlas-2025 -o build/topology   "
    "Of two days: nearserve topology diff my-scenario --from 2026-11-20 --to 2026-11-21 --plan my-plan",
)
@click.argument("scenario")
@click.option(
    "-o",
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    help="Write graph.graphml, pairs.parquet, places.parquet, findings.parquet and map.svg there.",
)
@click.option(
    "--nearest", type=click.IntRange(min=1), help="In graph.graphml, only each region's pairs with so many sites."
)
@click.option("--top", type=click.IntRange(min=1), default=12, show_default=True, help="Countries in the table.")
@format_option
def of_scenario(scenario: str, output: Path | None, nearest: int | None, top: int, output_format: str) -> None:
    """Build the graph of SCENARIO from its measurements and show what is known of every pair, and how well.

    `topology diff` shows what moved; a scenario folder that is called diff is ./diff.
    """
    loaded = load_scenario(scenario)
    from placement.topology import build_pairs  # noqa: PLC0415

    if output is not None:
        with writing_to(output):  # before the work, not after it
            output.mkdir(parents=True, exist_ok=True)
    with status_line() as say:
        say("building the topology")
        topology = build_pairs(loaded)
        if output is not None:
            say("writing")
            with writing_to(output):
                _write(topology, loaded, output, nearest)
    if output_format == "json":
        emit_json({**as_json(topology), "output": str(output) if output else None})
        return
    show(topology, loaded.document, top)
    if output is not None:
        click.echo(f"\nwritten to {output}")


def _write(topology: "Topology", scenario: "Scenario", output: Path, nearest: int | None) -> None:
    """The files of `-o`; each appears whole or not at all."""
    from placement.cli.topology_map import write_map  # noqa: PLC0415
    from placement.topology.drift.findings import FINDINGS, findings, write_findings  # noqa: PLC0415
    from placement.topology.drift.stored import PAIRS, PLACES, write_places  # noqa: PLC0415
    from placement.topology.elements import Selection  # noqa: PLC0415
    from placement.topology.export import write_graphml, write_pairs  # noqa: PLC0415

    write_graphml(topology, output / "graph.graphml", Selection(nearest=nearest))
    write_pairs(topology, output / PAIRS)
    write_places(topology, output / PLACES)
    write_findings(findings(topology, scenario.table("endpoints")), output / FINDINGS)
    write_map(topology, scenario.document.name, output / "map.svg")


command = _Topology("topology", modules=COMMANDS, help=of_scenario.help)
