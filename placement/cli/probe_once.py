"""nearserve probe once: a few targets, now, for a person or a script."""

import socket
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from placement.cli.common import Exit, Failure, emit_json
from probes.wire.ports import PORTS

if TYPE_CHECKING:
    import ssl

    from rich.console import Console, RenderableType

    from probes.once.aim import Aim
    from probes.once.look import Asked, Look

METHODS = ("icmp", "tcp", "stamp", "http", "train", "ndt7", "trace")
PIPE_WIDTH = 160


@dataclass(frozen=True)
class Way:
    """How a method is looked with, and how that is shown."""

    look: Callable[[Sequence["Aim"], "Asked"], "Look"]
    show: Callable[[Any, int], "RenderableType"]
    port: int | None = None
    count: int = 10


@click.command(
    "once",
    epilog="Example: nearserve probe once example.com 192.0.2.1 --count 20. "
    "Exit codes: 0 measured, 4 a target was bad (the others are measured all the same), 8 nobody answered.",
)
@click.argument("targets", nargs=-1, required=True, metavar="TARGET...")
@click.option("--method", type=click.Choice(METHODS), default="icmp", show_default=True, help="How to measure.")
@click.option(
    "--count", type=click.IntRange(min=0), help="Probes of each target; 0: until Ctrl-C.  [default: 10, or 1]"
)
@click.option("--interval", type=click.FloatRange(min=0.01), default=0.5, show_default=True, help="Seconds between.")
@click.option("--timeout", type=click.FloatRange(min=0.01), default=1.0, show_default=True, help="Seconds.")
@click.option(
    "--port", type=click.IntRange(1, 65535), help="Of the methods that have one, where the target names none."
)
@click.option("--seconds", type=click.FloatRange(min=1), default=10.0, show_default=True, help="Of ndt7, at most.")
@click.option(
    "--protocol", type=click.Choice(["udp", "tcp", "icmp"]), default="udp", show_default=True, help="Of trace."
)
@click.option(
    "--flows", type=click.IntRange(1, 64), default=4, show_default=True, help="Of trace: paths of equal cost."
)
@click.option("--key-file", type=click.Path(path_type=Path), help="The reflector's keys, one a line: stamp, train.")
@click.option("--token-file", type=click.Path(path_type=Path), help="The token of an NDT7 server.")
@click.option(
    "--ca", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Certificates to trust, PEM: http, ndt7."
)
@click.option("-4", "family", flag_value=4, type=int, help="IPv4 only.")
@click.option("-6", "family", flag_value=6, type=int, help="IPv6 only.")
@click.option("--source", default=socket.gethostname, show_default="host name", help="What records call this machine.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout; the same as --format json.")
@click.option("--format", "output_format", type=click.Choice(["table", "json"]), default="table", show_default=True)
@click.pass_context
def command(
    context: click.Context,
    targets: tuple[str, ...],
    method: str,
    count: int | None,
    interval: float,
    timeout: float,
    port: int | None,
    seconds: float,
    protocol: str,
    flows: int,
    key_file: Path | None,
    token_file: Path | None,
    ca: Path | None,
    family: int | None,
    source: str,
    as_json: bool,
    output_format: str,
) -> None:
    """Measure each TARGET (a name, an address, HOST:PORT, or a URL) and show what comes back.

    Names are resolved once, before, and the time of that is in no round trip. Ctrl-C ends with the summary.
    """
    from probes.once.aim import take  # noqa: PLC0415
    from probes.once.look import Asked  # noqa: PLC0415

    if as_json:
        context.params["output_format"] = output_format = "json"
    way = _way(method, protocol, flows)
    aims = take(targets, family=family, port=port or way.port)
    problems = [aim for aim in aims if aim.endpoint is None]
    wanted = way.count if count is None else count
    asked = Asked(source, wanted or None, interval, timeout, seconds, _key(key_file), _token(token_file), _trusting(ca))
    look = way.look(aims, asked)
    error = (
        None if not look.aims else _measured(look, problems, way, live=output_format == "table" and sys.stdout.isatty())
    )
    code = Exit.BAD_DATA if problems else Exit.OK if look.answered else Exit.NO_ANSWER
    if output_format == "json":
        emit_json(_document(aims, look, error, code))
    elif not sys.stdout.isatty():
        console = _console(PIPE_WIDTH)
        with console.capture() as capture:
            console.print(_whole(look, problems, way, PIPE_WIDTH))
        click.echo("\n".join(line.rstrip() for line in capture.get().splitlines()))
    if error is not None:
        click.echo(f"nearserve: {error}", err=True)
    context.exit(code)


def _key(path: Path | None) -> bytes | None:
    """The first key of a file: the one to seal with."""
    if path is None:
        return None
    from probes.wire.keys import KeyFileError, read_keys  # noqa: PLC0415

    try:
        return read_keys(path)[0]
    except KeyFileError as error:
        raise Failure(Exit.BAD_DATA, str(error)) from error


def _token(path: Path | None) -> str | None:
    if path is None:
        return None
    from probes.wire.keys import KeyFileError, read_token  # noqa: PLC0415

    try:
        return read_token(path)
    except KeyFileError as error:
        raise Failure(Exit.BAD_DATA, str(error)) from error


def _trusting(ca: Path | None) -> "ssl.SSLContext | None":
    """TLS by the certificates of a file; None: by those of the system."""
    if ca is None:
        return None
    from probes.wire.authority import trusting  # noqa: PLC0415
    from probes.wire.keys import KeyFileError  # noqa: PLC0415

    try:
        return trusting(ca)
    except KeyFileError as error:
        raise Failure(Exit.BAD_DATA, str(error)) from error


def _way(method: str, protocol: str, flows: int) -> Way:
    """How to look by a method; what it needs is imported now."""
    from placement.cli import probe_once_view as view  # noqa: PLC0415

    if method == "http":
        from probes.once.visiting import Visiting  # noqa: PLC0415

        return Way(Visiting, view.visits, port=443, count=3)
    if method in ("train", "ndt7"):
        from probes.once.streaming import Streaming  # noqa: PLC0415

        return Way(partial(Streaming, method), view.transfers, port=PORTS.get(method), count=1)
    if method == "trace":
        from probes.once.tracing import PROBES, Tracing  # noqa: PLC0415

        look = partial(Tracing, protocol=protocol, flows=flows)
        return Way(look, view.paths, port=443 if protocol == "tcp" else None, count=PROBES)
    from probes.once.sweeping import by_sweeps  # noqa: PLC0415

    return Way(partial(by_sweeps, method), view.round_trips, port=PORTS.get(method))


def _measured(look: "Look", problems: list["Aim"], way: Way, *, live: bool) -> str | None:
    """Takes the look, on a terminal with a table that grows; what kept the whole of it from being taken, or None."""
    try:
        if live:
            _watch(look, problems, way)
        else:
            for _ in look.steps():
                pass
    except KeyboardInterrupt:
        return None  # what was measured until now is the result
    except PermissionError as error:
        from placement.cli.probe_once_view import mended  # noqa: PLC0415

        return mended(str(error))
    return None


def _watch(look: "Look", problems: list["Aim"], way: Way) -> None:
    """Redraws after every step, cut to the terminal's height; the whole is printed when it ends, or is ended."""
    from rich.live import Live  # noqa: PLC0415

    console = _console(None)
    try:
        with Live(console=console, auto_refresh=False, transient=True) as picture:
            for _ in look.steps():
                picture.update(_whole(look, problems, way, console.width), refresh=True)
    finally:
        console.print(_whole(look, problems, way, console.width))


def _whole(look: "Look", problems: list["Aim"], way: Way, width: int) -> "RenderableType":
    from placement.cli.probe_once_view import shown  # noqa: PLC0415

    return shown(look, problems, way.show(look, width))


def _console(width: int | None) -> "Console":
    from rich.console import Console  # noqa: PLC0415

    return Console(highlight=False, width=width)


def _document(aims: list["Aim"], look: "Look", error: str | None, code: Exit) -> dict[str, Any]:
    """The answer for scripts: what was asked, and for each target its figures and native records; absent is null."""
    measured = {id(aim): number for number, aim in enumerate(look.aims)}
    records = look.records()
    found = []
    for aim in aims:
        number = measured.get(id(aim))
        endpoint = aim.endpoint
        tally = None if number is None else look.tallies[number]
        found.append(
            {
                "target": aim.wanted.text,
                "address": endpoint.address if endpoint else None,
                "port": endpoint.port if endpoint else None,
                "family": endpoint.family if endpoint else None,
                "dns_ms": aim.dns_ms,
                "other_addresses": list(aim.others),
                "problem": aim.problem,
                "errors": list(tally.errors) if tally else [],
                "summary": asdict(tally.summary) if tally else None,
                "rtt_ms": tally.rtt_ms if tally else None,
                "records": [asdict(record) for record in records[number]] if number is not None else [],
                **(look.detail(number) if number is not None else {}),
            }
        )
    return {
        "method": look.method,
        "source": look.asked.source,
        "error": error,
        "exit_code": int(code),
        "targets": found,
    }
