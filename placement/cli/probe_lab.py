"""nearserve probe lab: a network of many hosts on this machine, to try agents, collectors and other tools in."""

import contextlib
import os
import shlex
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from placement.cli.common import Exit, Failure, emit_json, format_option, print_table

if TYPE_CHECKING:
    from probes.lab import Lab, Truth
    from probes.lab.network import Network

SHOWN = 20
MOST_PAIRS = 500_000
MOST_VARIABLE = 100_000  # Linux takes 128 KB
DRAWN = ("hosts", "pops", "hops", "seed", "offload")


@click.command(
    "lab",
    context_settings={"allow_interspersed_args": False},
    epilog="Example: nearserve probe lab --pops 20 --loss 0.01 -- sh -c 'fping -c 3 -q $LAB_POPS'. "
    "Exit codes: the program's own; 1 where the system lets no lab be made.",
)
@click.option("--file", type=click.Path(path_type=Path), help="TOML with hosts, pops, links: docs/lab.md.")
@click.option("--hosts", type=click.IntRange(1, 200), default=2, show_default=True, help="Hosts, named h1, h2...")
@click.option("--pops", type=click.IntRange(0, 65_000), default=10, show_default=True, help="PoPs, named p1, p2...")
@click.option("--rtt", default="1..300", show_default=True, help="Round trips in ms, A or A..B; each pair has its own.")
@click.option("--jitter", type=click.FloatRange(0), default=0.0, help="Up to so many ms more, each way.")
@click.option("--loss", type=click.FloatRange(0, 1), default=0.0, help="Probability of loss, each way.")
@click.option("--rate", type=click.FloatRange(0, min_open=True), help="Mbit/s of each pair, each way.")
@click.option(
    "--queue", type=click.FloatRange(0, min_open=True), help="KB that may wait for the rate.  [default: 50 ms]"
)
@click.option("--hops", type=click.IntRange(0, 60), default=0, help="Routers before each PoP, for traceroute.")
@click.option("--seed", type=int, default=0, show_default=True, help="Decides what is drawn and what is lost.")
@click.option("--offload", is_flag=True, help="TCP travels merged, for transfers at a Gbit/s.")
@click.option("--host", help="Where the program runs: a host, or a PoP.  [default: the first host]")
@click.option(
    "--also",
    nargs=2,
    multiple=True,
    metavar="PLACE COMMAND",
    help="Run this at a place beside the program, until it ends; again for more.",
)
@click.option("--targets", type=click.Path(path_type=Path), help="Write the PoPs as an agent's list of targets there.")
@format_option
@click.argument("program", nargs=-1, type=click.UNPROCESSED, metavar="[-- PROGRAM...]")
@click.pass_context
def command(
    context: click.Context,
    /,
    file: Path | None,
    host: str | None,
    also: tuple[tuple[str, str], ...],
    targets: Path | None,
    output_format: str,
    program: tuple[str, ...],
    **figures: Any,
) -> None:
    """Make a network of hosts and PoPs on this machine, and run PROGRAM, or a shell, in one of its hosts.

    Nothing leaves the machine. Root is not needed where the kernel lets users make namespaces. The program finds the
    addresses in $LAB_POPS and $LAB_POPS6, in the order of the table. Tables go to stderr, as stdout is the program's;
    with --format json one document goes to stdout, and what the program says to stderr.
    """
    from probes.lab import Lab, LabError  # noqa: PLC0415

    network = _network(context, file, figures)
    place = host or network.hosts[0].name
    for name in (place, *(at for at, _ in also)):
        if name not in network.order:
            raise click.UsageError(f"there is no place {name!r} in the lab; hosts: {', '.join(_hosts(network))}")
    if targets:
        _write_targets(targets, network)
    try:
        with Lab.of(network) as lab:
            if output_format == "table":
                _show_places(network, place)
            code = _run(lab, place, program, also, output_format)
            truth = lab.truth()
    except LabError as error:
        raise Failure(Exit.CRASH, str(error)) from error
    if output_format == "json":
        emit_json(_document(network, truth, code))
    else:
        _show_truth(network, truth)
    context.exit(code)


def _network(context: click.Context, file: Path | None, figures: dict[str, Any]) -> "Network":
    from probes.document import DocumentError  # noqa: PLC0415
    from probes.lab import Link  # noqa: PLC0415
    from probes.lab.document import Range, drawn, read  # noqa: PLC0415

    given = [n for n in figures if context.get_parameter_source(n) is click.core.ParameterSource.COMMANDLINE]
    if file and given:
        raise click.UsageError(f"--file says all of the lab: leave out --{', --'.join(given)}")
    try:
        if file:
            return read(file)
        if figures["hosts"] * figures["pops"] > MOST_PAIRS:
            raise click.UsageError(f"{figures['hosts']} × {figures['pops']} pairs: at most {MOST_PAIRS:,} can be drawn")
        rtt_ms = Range.parse(figures["rtt"])
        link = Link(rtt_ms.most, figures["jitter"], figures["loss"], figures["rate"], figures["queue"])
        return drawn(rtt_ms=rtt_ms, link=link, **{name: figures[name] for name in DRAWN})
    except DocumentError as error:
        raise Failure(Exit.BAD_DATA, str(error)) from error
    except ValueError as error:
        raise click.UsageError(f"{error}; give milliseconds up to 60,000, as --rtt 20 or --rtt 1..300") from error


def _run(
    lab: "Lab", place: str, program: tuple[str, ...], also: tuple[tuple[str, str], ...], output_format: str
) -> int:
    pops = lab.network.pops
    lists = {
        "LAB_POPS": " ".join(pop.address for pop in pops),
        "LAB_POPS6": " ".join(pop.address6 for pop in pops if pop.address6),
    }
    environment = {**os.environ, **{name: text for name, text in lists.items() if len(text) <= MOST_VARIABLE}}
    for name in lists.keys() - environment.keys():
        click.echo(f"{len(pops)} addresses are too long for ${name}: use --targets", err=True)
    out = sys.stderr if output_format == "json" else None
    for at, text in also:
        lab.run(at, shlex.split(text), env=environment, stdout=out)
    argv = program or (os.environ.get("SHELL", "/bin/sh"),)
    running: subprocess.Popen[bytes] = lab.run(place, argv, env=environment, stdout=out)
    while True:
        try:
            code = running.wait()
        except KeyboardInterrupt:  # Ctrl-C was for the program; the lab ends when it has ended
            continue
        return code if code >= 0 else 128 - code


def _hosts(network: "Network") -> list[str]:
    return [host.name for host in network.hosts]


def _show_places(network: "Network", place: str) -> None:
    """Addresses, and the true round trips from every host, on stderr."""
    shown = _hosts(network)[:6]
    rows = [
        (
            spot.name,
            spot.address,
            spot.address6 or "",
            *("" if spot.name == host else network.link(host, spot.name).round_trip_ms for host in shown),
        )
        for spot in network.places
    ]
    with contextlib.redirect_stdout(sys.stderr):
        print_table(("place", "IPv4", "IPv6", *(f"from {host}, ms" for host in shown)), rows[:SHOWN])
    if len(rows) > SHOWN:
        click.echo(f"... and {len(rows) - SHOWN} more; --format json lists them all", err=True)
    click.echo(f"The program runs at {place}.", err=True)


def _show_truth(network: "Network", truth: "Truth") -> None:
    """What the emulator did, on stderr."""
    paths = sorted(truth.paths.items(), key=lambda item: -item[1].seen)
    rows = [(first, second, network.link(first, second).rtt_ms / 2, *path) for (first, second), path in paths[:SHOWN]]
    total = truth.total
    if not rows:
        click.echo("No packet went through the lab.", err=True)
        return
    with contextlib.redirect_stdout(sys.stderr):
        print_table(("from", "to", "way, ms", *(name.replace("_", " ") for name in total._fields)), rows)
    more = f"; {len(paths) - SHOWN} more ways were used" if len(paths) > SHOWN else ""
    click.echo(
        f"{total.seen:,} packets: {total.delivered:,} delivered, {total.lost:,} lost, {total.overflowed:,} overflowed"
        f"{more}; late by {truth.lateness(0.5)} µs (p50), {truth.lateness(0.99)} µs (p99).",
        err=True,
    )
    if truth.missed or truth.strayed:
        click.echo(f"{truth.missed:,} came too fast for the lab, {truth.strayed:,} went to no place in it.", err=True)


def _document(network: "Network", truth: "Truth", code: int) -> dict[str, Any]:
    links = [
        {"host": host, "pop": pop.name, "rtt_ms": link.round_trip_ms, "loss": link.round_trip_loss}
        for host in _hosts(network)
        for pop in network.pops
        for link in (network.link(host, pop.name),)
    ]
    return {
        "hosts": [asdict(host) for host in network.hosts],
        "pops": [{"name": p.name, "address": p.address, "address6": p.address6} for p in network.pops],
        "round_trips": links,
        "paths": [{"from": a, "to": b, **path._asdict()} for (a, b), path in sorted(truth.paths.items())],
        "lateness_us": {f"p{quantile}": truth.lateness(quantile / 100) for quantile in (50, 90, 99)},
        "missed": truth.missed,
        "strayed": truth.strayed,
        "program_exit_code": code,
    }


def _write_targets(path: Path, network: "Network") -> None:
    from probes.agent.targets import Target, write_targets  # noqa: PLC0415

    try:
        write_targets(path, [Target(name=pop.name, host=pop.address, methods=("icmp",)) for pop in network.pops])
    except OSError as error:
        raise Failure(Exit.BAD_DATA, f"{path}: {error.strerror}") from error
