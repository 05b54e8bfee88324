"""nearserve probe: agents, reflectors and collectors, one look for a human, target lists, and a lab."""

import click

from placement.cli.lazy import LazyGroup

COMMANDS = {
    "once": ("placement.cli.probe_once", "Measure a few targets now, and watch."),
    "agent": ("placement.cli.probe_agent", "Measure a list of targets for months, and lose nothing."),
    "reflector": ("placement.cli.probe_reflector", "Answer probes: STAMP, packet trains, NDT7."),
    "collector": ("placement.cli.probe_collector", "Take the agents' records in and keep them as Parquet."),
    "targets": ("placement.cli.probe_targets", "Say which pairs of a scenario to measure next."),
    "lab": ("placement.cli.probe_lab", "A network of many hosts on this machine, to try all of it."),
}


@click.command(
    "probe",
    cls=LazyGroup,
    modules=COMMANDS,
    epilog="Example: nearserve probe once example.com",
)
def command() -> None:
    """Measure the network: round trips, bandwidth and paths."""
