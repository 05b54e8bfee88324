"""nearserve probe collector: the agents' records, taken in over HTTPS and kept as Parquet; who has gone quiet."""

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from placement.cli.common import Exit, Failure, emit_json, format_option, print_table

if TYPE_CHECKING:
    from probes.collector.config import Config
    from probes.collector.status import AgentState


@click.command(
    "collector",
    epilog="Example: nearserve probe collector --make-certificates pki --host collector.example --agent fra1, "
    "then nearserve probe collector collector.toml",
)
@click.argument("config", required=False, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--status", is_flag=True, help="Show the agents and who has gone quiet, and end. Reads only.")
@click.option(
    "--make-certificates",
    "pki",
    type=click.Path(file_okay=False, path_type=Path),
    help="Make a CA, certificates for --host and each --agent, and a first configuration in this folder, and end.",
)
@click.option("--host", "hosts", multiple=True, help="Name or address of the collector, for its certificate.")
@click.option("--agent", "agents", multiple=True, help="An agent to make a certificate for.")
@click.option("--tokens", is_flag=True, help="Make a token for each agent too.")
@click.option("--days", type=click.IntRange(1, 825), default=30, show_default=True, help="How long they are good for.")
@format_option
def command(
    config: Path | None,
    status: bool,
    pki: Path | None,
    hosts: tuple[str, ...],
    agents: tuple[str, ...],
    tokens: bool,
    days: int,
    output_format: str,
) -> None:
    """Take in what probe agents send, as CONFIG (TOML) says, each record exactly once.

    Ends on SIGTERM when all it accepted is written; reads certificates and tokens again on SIGHUP.
    """
    if pki is not None:
        _make(pki, hosts, agents, tokens, days, output_format)
        return
    if config is None:
        raise Failure(Exit.USAGE, "name the configuration, or make one with --make-certificates DIR")
    if status:
        _show_status(config, output_format)
        return
    _serve(config, output_format)


def _serve(config: Path, output_format: str) -> None:
    from probes.collector.ledger import LedgerError  # noqa: PLC0415
    from probes.collector.run import LockedError, run  # noqa: PLC0415
    from probes.document import DocumentError  # noqa: PLC0415
    from probes.log import to_stderr  # noqa: PLC0415
    from probes.wire.address import written  # noqa: PLC0415

    to_stderr(limited=False)  # refusals are limited by their reason already

    def ready(address: str, port: int) -> None:
        if output_format == "json":
            emit_json({"address": address, "port": port})
        else:
            click.echo(f"listening on {written(address, port)}")
        sys.stdout.flush()

    try:
        run(config, ready)
    except (DocumentError, LedgerError) as error:
        raise Failure(Exit.BAD_DATA, str(error)) from error
    except LockedError as error:
        raise Failure(Exit.STALE, str(error)) from error
    except OSError as error:
        raise Failure(Exit.BAD_DATA, f"{config}: cannot listen or write there: {error}") from error


def _show_status(path: Path, output_format: str) -> None:
    import time  # noqa: PLC0415

    from probes.collector.status import read_states  # noqa: PLC0415

    config = _loaded(path)
    now_ns = time.time_ns()
    states = read_states(config, now_ns)
    if output_format == "json":
        emit_json({"agents": [_state_json(state) for state in states]})
        return
    columns = ("agent", "state", "last seen", "expected every s", "last observation", "rows", "replayed", "refused")
    rows = [
        (
            state.name, state.state, _ago(state.last_seen_ns, now_ns), state.expected_interval_s,
            _ago(state.last_observed_ns, now_ns), state.accepted, state.replayed, state.refused + state.conflicting,
        )
        for state in states
    ]  # fmt: skip
    print_table(columns, rows)


def _loaded(path: Path) -> "Config":
    from probes.collector.config import load  # noqa: PLC0415
    from probes.document import DocumentError  # noqa: PLC0415

    try:
        return load(path)
    except DocumentError as error:
        raise Failure(Exit.BAD_DATA, str(error)) from error


def _make(
    folder: Path, hosts: tuple[str, ...], agents: tuple[str, ...], tokens: bool, days: int, output_format: str
) -> None:
    from probes.collector.certificates import make  # noqa: PLC0415

    if not hosts and not agents:
        raise Failure(Exit.USAGE, "say for whom: --host NAME for the collector, --agent NAME for each agent")
    if tokens and not agents:
        raise Failure(Exit.USAGE, "--tokens makes a token for each --agent; name them")
    try:
        made = make(folder, hosts, agents, days=days, tokens=tokens)
    except FileExistsError as error:
        raise Failure(Exit.BAD_DATA, f"{error.filename} stands already; move it away, or add agents to it") from error
    except (OSError, ValueError) as error:
        raise Failure(Exit.BAD_DATA, str(error)) from error
    written = _first_configuration(folder, tokens=tokens) if hosts else None
    if output_format == "json":
        files = [
            {"path": str(one.path), "purpose": one.purpose, "expires": one.expires and one.expires.isoformat()}
            for one in made
        ]
        emit_json({"files": files, "configuration": written and str(written)})
        return
    rows = [(str(one.path), one.purpose, "" if one.expires is None else f"{one.expires:%Y-%m-%d}") for one in made]
    print_table(("file", "what it is", "ends"), rows)
    if written is not None:
        click.echo(f"\nNow: nearserve probe collector {written}")


def _first_configuration(folder: Path, *, tokens: bool) -> Path | None:
    """Writes collector.toml where there is none yet."""
    path = folder / "collector.toml"
    proof = 'require = "either"\nclient_ca = "ca.pem"\ntokens = "tokens.toml"' if tokens else 'client_ca = "ca.pem"'
    text = (
        '[server]\naddress = "::"\nport = 8443\ncertificate = "server.pem"\nkey = "server.key"\n\n'
        f'[authentication]\n{proof}\n\n[store]\nfolder = "measurements"\n\n[metrics]\nport = 9464\n'
    )
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        return None
    return path


def _state_json(state: "AgentState") -> dict[str, object]:
    values = {name: getattr(state, name) for name in state.__dataclass_fields__}
    for name in ("last_seen", "last_observed"):
        values[name] = _utc(values.pop(f"{name}_ns"))
    return values


def _utc(time_ns: int | None) -> str | None:
    return None if time_ns is None else datetime.fromtimestamp(time_ns / 1e9, UTC).isoformat(timespec="milliseconds")


def _ago(time_ns: int | None, now_ns: int) -> str:
    if time_ns is None:
        return "never"
    seconds = (now_ns - time_ns) / 1e9
    for unit, length in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit} ago"
    return f"{seconds:.0f} s ago"
