"""The collector's TOML: one table per concern, every key with a default but those that nobody can guess."""

import ipaddress
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field, model_validator

from probes.document import Part, read_document
from probes.transport import AGENT_NAME

Positive = Annotated[int, Field(gt=0)]
Seconds = Annotated[float, Field(gt=0)]
_PORT_LAST: Final = 65_535


def _agent_name(name: str) -> str:
    if not AGENT_NAME.fullmatch(name):
        raise ValueError("this is no name of an agent; use letters, digits, . _ -, at most 63")
    return name


def _address(text: str) -> str:
    try:
        ipaddress.ip_address(text)
    except ValueError as error:
        raise ValueError("this is no IP address; write one such as 0.0.0.0, :: or 127.0.0.1") from error
    return text


def _loopback(text: str) -> str:
    if not ipaddress.ip_address(_address(text)).is_loopback:
        raise ValueError("metrics are told on loopback only; use 127.0.0.1 or ::1")
    return text


AgentName = Annotated[str, AfterValidator(_agent_name)]


class Server(Part):
    """Where agents connect, and what the collector shows them."""

    address: Annotated[str, AfterValidator(_address)] = "::"
    port: Annotated[int, Field(ge=0, le=_PORT_LAST)] = 8443
    certificate: str
    key: str


class Authentication(Part):
    """Who may send. `require`: `certificate`, `token`, `either`, or `both`."""

    require: Literal["certificate", "token", "either", "both"] = "certificate"
    client_ca: str | None = None
    tokens: str | None = None
    denied: tuple[AgentName, ...] = ()

    @model_validator(mode="after")
    def _complete(self) -> "Authentication":
        if self.require != "token" and self.client_ca is None:
            raise ValueError(
                f"require = {self.require} needs client_ca; name the CA that signs the agents' certificates"
            )
        if self.require != "certificate" and self.tokens is None:
            raise ValueError(f"require = {self.require} needs tokens; name the file with the agents' tokens")
        return self


class Limits(Part):
    """What one request, one address and everybody together may take up."""

    body_bytes: Positive = 1 << 20
    unpacked_bytes: Positive = 8 << 20
    batch_rows: Positive = 10_000
    header_bytes: Annotated[int, Field(ge=256, le=65_536)] = 4096
    headers: Annotated[int, Field(ge=8, le=128)] = 32
    body_s: Seconds = 20.0
    idle_s: Seconds = 75.0
    handshake_s: Seconds = 10.0
    connections: Positive = 1000
    connections_per_address: Positive = 64
    queued_bytes: Positive = 64 << 20
    inbox_rows: Positive = 5_000_000
    inbox_bytes: Positive = 1 << 30
    free_bytes: Annotated[int, Field(ge=0)] = 64 << 20
    retry_after_s: Positive = 15
    ahead_s: Seconds = 86_400.0
    behind_days: Positive = 400


class Store(Part):
    """The folder of measurements, and when accepted rows become a file in it."""

    folder: str
    write_every_s: Seconds = 60.0
    write_rows: Annotated[int, Field(gt=0, le=2_000_000)] = 100_000
    compact_every_s: Seconds = 900.0
    compact_files: Annotated[int, Field(ge=2)] = 16
    compact_rows: Annotated[int, Field(ge=1000, le=20_000_000)] = 1_000_000


class Agents(Part):
    """When an agent counts as quiet: after `quiet_after` of its intervals without a batch.

    The interval is the agent's own in `interval_s`, else what the agent says, else `expected_interval_s`. `names` are
    agents to expect beside those that have a token.
    """

    expected_interval_s: Seconds = 60.0
    quiet_after: Annotated[float, Field(ge=1)] = 3.0
    names: tuple[AgentName, ...] = ()
    interval_s: dict[AgentName, Seconds] = {}  # noqa: RUF012  pydantic copies it


class Metrics(Part):
    """Prometheus: an HTTP endpoint on loopback, a textfile, both or none."""

    address: Annotated[str, AfterValidator(_loopback)] = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=_PORT_LAST)] | None = None
    textfile: str | None = None
    every_s: Seconds = 15.0


class Config(Part):
    """The whole document; paths in it are relative to the folder of the file."""

    server: Server
    authentication: Authentication
    store: Store
    limits: Limits = Limits()
    agents: Agents = Agents()
    metrics: Metrics = Metrics()


def load(path: Path) -> Config:
    """The configuration in a TOML file, its paths made absolute; raises DocumentError with everything that is wrong."""
    return _absolute(read_document(Config, path), path.resolve().parent)


def ledger_path(config: Config) -> Path:
    """Where the ledger stands: in the folder of measurements, under a name that its readers pass over."""
    return Path(config.store.folder) / "_collector" / "ledger.sqlite"


def _absolute(config: Config, base: Path) -> Config:
    def under(part: Part, *names: str) -> Part:
        given = {name: getattr(part, name) for name in names}
        return part.model_copy(update={n: str(base / text) for n, text in given.items() if text is not None})

    return config.model_copy(
        update={
            "server": under(config.server, "certificate", "key"),
            "authentication": under(config.authentication, "client_ca", "tokens"),
            "store": under(config.store, "folder"),
            "metrics": under(config.metrics, "textfile"),
        }
    )
